package auth_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
)

func TestVault(t *testing.T) {
	v, other := auth.NewVault(make([]byte, 32)), auth.NewVault(bytes.Repeat([]byte{1}, 32))
	text := []byte("the secret of alice")
	sealed := v.Seal("use", text)
	if bytes.Contains(sealed, text) || bytes.Equal(sealed, v.Seal("use", text)) {
		t.Error("not sealed, or without a nonce of its own")
	}
	if got, err := auth.NewVault(make([]byte, 32)).Open("use", sealed); err != nil || !bytes.Equal(got, text) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := v.Open("none", v.Seal("none", nil)); err != nil || len(got) != 0 {
		t.Errorf("nothing: got %q, %v", got, err)
	}
	if !v.Sealed(sealed) || other.Sealed(sealed) || v.Sealed(nil) {
		t.Error("whose it is")
	}
	wrong := map[string]func() ([]byte, error){
		"other use":   func() ([]byte, error) { return v.Open("use2", sealed) },
		"other key":   func() ([]byte, error) { return other.Open("use", sealed) },
		"other name":  func() ([]byte, error) { return other.Open("use", append(other.Seal("use", nil)[:4], sealed[4:]...)) },
		"nothing":     func() ([]byte, error) { return v.Open("use", nil) },
		"a name only": func() ([]byte, error) { return v.Open("use", sealed[:4]) },
		"more":        func() ([]byte, error) { return v.Open("use", append(bytes.Clone(sealed), 0)) },
	}
	for i := range sealed {
		wrong[fmt.Sprint("bit of byte ", i)] = func() ([]byte, error) {
			b := bytes.Clone(sealed)
			b[i] ^= 1
			return v.Open("use", b)
		}
		wrong[fmt.Sprint("cut at ", i)] = func() ([]byte, error) { return v.Open("use", sealed[:i]) }
	}
	for what, open := range wrong {
		if got, err := open(); !errors.Is(err, auth.ErrSealed) || got != nil {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	if s := fmt.Sprintf("%+v %#v", v, v); s != "vault vault" {
		t.Errorf("printed %q", s)
	}
}
