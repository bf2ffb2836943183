package auth

import (
	"strings"
	"testing"
)

// FuzzRefreshToken: what opens is what was written, byte for byte, with the code of our key.
func FuzzRefreshToken(f *testing.F) {
	ours, others := &Logins{}, &Logins{}
	ours.refresh.Store(&[32]byte{1})
	others.refresh.Store(&[32]byte{2})
	for _, l := range []*Logins{ours, others} {
		token := l.refreshToken(strings.Repeat("0f", 16), 7)
		f.Add(token)
		f.Add(token + "\n")
		f.Add(token[:len(token)-1])
		f.Add(strings.ToUpper(token))
		f.Add(token[:10] + "\r\n" + token[10:])
	}
	f.Add(refreshPrefix)
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		id, step, err := ours.openRefresh(token)
		if err != nil {
			return
		}
		if token != ours.refreshToken(id, step) {
			t.Errorf("%q opens as %s, %d", token, id, step)
		}
		if _, _, err := others.openRefresh(token); err == nil {
			t.Errorf("%q opens by two keys", token)
		}
	})
}
