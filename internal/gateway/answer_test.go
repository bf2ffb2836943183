package gateway

import (
	"bytes"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestAnswerKeepsTheContract of a ResponseWriter, also on one that knows no
// deadlines: the first Write sends 200, the first status stays.
func TestAnswerKeepsTheContract(t *testing.T) {
	rec := httptest.NewRecorder()
	a := newAnswer(rec, time.Second)
	data := bytes.Repeat([]byte("x"), 3*maxWrite+1)
	if n, err := a.Write(data); n != len(data) || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	a.WriteHeader(404)
	if a.status != 200 || rec.Code != 200 || a.bytes != int64(len(data)) || !bytes.Equal(rec.Body.Bytes(), data) {
		t.Errorf("status %d and %d, %d bytes of %d", a.status, rec.Code, a.bytes, len(data))
	}
	if n, err := a.Write(nil); n != 0 || err != nil {
		t.Errorf("wrote nothing: %d, %v", n, err)
	}
}

// TestUploadIsNotOursToClose: net/http closes the body, after it has looked at
// what was left of it.
func TestUploadIsNotOursToClose(t *testing.T) {
	r := httptest.NewRequest("PUT", "/b/k", strings.NewReader("hello"))
	rec := newAnswer(httptest.NewRecorder(), time.Second)
	u := newUpload(r, rec.conn, time.Second)
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if left := u.left(); left != 5 {
		t.Errorf("%d bytes left", left)
	}
	if got, err := io.ReadAll(u); string(got) != "hello" || err != nil || !u.done || u.left() != 0 {
		t.Errorf("%q, %v, %d left", got, err, u.left())
	}
}
