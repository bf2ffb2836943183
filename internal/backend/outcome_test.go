package backend_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// xmlAnswer is an answer with S3's error document.
func xmlAnswer(status int, code string) string {
	return answerWith(status, "application/xml", "<Error><Code>"+code+"</Code><Message>m</Message></Error>")
}

func answerWith(status int, kind, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", status, kind, len(body), body)
}

// answering is a server that gives every request the answer, after reading its
// body if whole is set.
func answering(t *testing.T, whole bool, answer string) *script {
	return newScript(t, func(s *script, _ int, c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := s.request(r)
			if err != nil {
				return
			}
			if whole {
				io.Copy(io.Discard, req.Body)
			}
			if answer == "" {
				return
			}
			body := answer
			if req.Method == "HEAD" {
				head, _, _ := strings.Cut(answer, "\r\n\r\n")
				body = head + "\r\n\r\n"
			}
			io.WriteString(c, body)
			if !whole {
				io.Copy(io.Discard, c) // until the client gives up
				return
			}
		}
	})
}

type want struct {
	outcome       backend.Outcome
	misconfigured bool
}

var answers = []struct {
	answer      string
	put         want // of a whole body
	held        want // of a body that is not whole
	del         want
	get         want
	throttleOff bool // the whole put, with ThrottleSafe, is Throttled
}{
	{xmlAnswer(400, "BadDigest"), want{backend.Refused, false}, want{backend.Refused, false}, want{backend.Refused, false}, want{backend.Refused, false}, false},
	{xmlAnswer(412, "PreconditionFailed"), want{backend.Refused, false}, want{backend.Refused, false}, want{backend.Refused, false}, want{backend.Refused, false}, false},
	{xmlAnswer(403, "AccessDenied"), want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, false},
	{xmlAnswer(403, "InvalidAccessKeyId"), want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, false},
	{xmlAnswer(403, "SignatureDoesNotMatch"), want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, false},
	{xmlAnswer(403, "RequestTimeTooSkewed"), want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, false},
	{xmlAnswer(400, "AuthorizationHeaderMalformed"), want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, false},
	{xmlAnswer(400, "ExpiredToken"), want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, false},
	{xmlAnswer(403, "InvalidObjectState"), want{backend.Refused, false}, want{backend.Refused, false}, want{backend.Refused, false}, want{backend.Refused, false}, false},
	{xmlAnswer(403, "QuotaExceeded"), want{backend.Refused, false}, want{backend.Refused, false}, want{backend.Refused, false}, want{backend.Refused, false}, false},
	{xmlAnswer(404, "NoSuchBucket"), want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, false},
	{xmlAnswer(404, "NoSuchKey"), want{backend.Refused, false}, want{backend.Refused, false}, want{backend.OK, false}, want{backend.Absent, false}, false},
	{xmlAnswer(301, "PermanentRedirect"), want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, false},
	{xmlAnswer(307, "TemporaryRedirect"), want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, false},
	{answerWith(304, "text/plain", ""), want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, false},
	{answerWith(400, "text/html", "<html>no</html>"), want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, false},
	{answerWith(404, "text/plain", ""), want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, want{backend.Refused, true}, false},
	{xmlAnswer(429, "TooManyRequests"), want{backend.Throttled, false}, want{backend.Throttled, false}, want{backend.Throttled, false}, want{backend.Throttled, false}, true},
	{xmlAnswer(500, "InternalError"), want{backend.Ambiguous, false}, want{backend.NotSent, false}, want{backend.Ambiguous, false}, want{backend.Ambiguous, false}, false},
	{answerWith(502, "text/html", "bad gateway"), want{backend.Ambiguous, false}, want{backend.NotSent, false}, want{backend.Ambiguous, false}, want{backend.Ambiguous, false}, false},
	{xmlAnswer(503, "ServiceUnavailable"), want{backend.Ambiguous, false}, want{backend.NotSent, false}, want{backend.Ambiguous, false}, want{backend.Ambiguous, false}, false},
	{xmlAnswer(503, "SlowDown"), want{backend.Ambiguous, false}, want{backend.Throttled, false}, want{backend.Ambiguous, false}, want{backend.Throttled, false}, true},
	{xmlAnswer(507, "XMinioStorageFull"), want{backend.Ambiguous, false}, want{backend.Throttled, false}, want{backend.Ambiguous, false}, want{backend.Throttled, false}, true},
	{okEmpty, want{backend.OK, false}, want{backend.Ambiguous, false}, want{backend.OK, false}, want{backend.OK, false}, false},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", want{backend.OK, false}, want{backend.Ambiguous, false}, want{backend.OK, false}, want{backend.Ambiguous, false}, false},
	{"rubbish\r\n\r\n", want{backend.Ambiguous, false}, want{backend.NotSent, false}, want{backend.Ambiguous, false}, want{backend.Ambiguous, false}, false},
	{"", want{backend.Ambiguous, false}, want{backend.NotSent, false}, want{backend.Ambiguous, false}, want{backend.Ambiguous, false}, false},
}

func (w want) check(t *testing.T, what string, err error) {
	t.Helper()
	if backend.OutcomeOf(err) != w.outcome || backend.IsMisconfigured(err) != w.misconfigured {
		t.Errorf("%s: %v, want %+v", what, err, w)
	}
}

// endlessBody never gives its last byte.
type endlessBody struct{ backend.Body }

func (b endlessBody) Next(ctx context.Context, _ int) ([]byte, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestOutcomes(t *testing.T) {
	data := make([]byte, 100)
	for _, a := range answers {
		name, _, _ := strings.Cut(a.answer, "\r\n")
		t.Run(name+fmt.Sprint(len(a.answer)), func(t *testing.T) {
			whole := answering(t, true, a.answer)
			r := newRemote(t, whole.endpoint)
			_, err := r.Put(bg, putRequest(data, literal(data)))
			a.put.check(t, "put", err)
			var e *backend.Error
			if errors.As(err, &e) && !e.Released {
				t.Errorf("a whole body was not released: %v", err)
			}
			a.del.check(t, "delete", r.Delete(bg, "bucket", "key"))
			obj, err := r.Get(bg, "bucket", "key", backend.GetOptions{})
			a.get.check(t, "get", err)
			if err == nil {
				obj.Body.Close()
			}
			safe := newRemote(t, whole.endpoint, func(o *backend.Options) { o.ThrottleSafe = true })
			_, err = safe.Put(bg, putRequest(data, literal(data)))
			if a.throttleOff {
				want{backend.Throttled, false}.check(t, "safe put", err)
			} else {
				a.put.check(t, "safe put", err)
			}

			held := answering(t, false, a.answer)
			r = newRemote(t, held.endpoint)
			req := putRequest(data, literal(data))
			req.Body = endlessBody{req.Body}
			_, err = r.Put(bg, req)
			a.held.check(t, "held put", err)
			if errors.As(err, &e) && e.Released {
				t.Errorf("a held body was released: %v", err)
			}
		})
	}
}

// TestErrorsTellTheirCause: errors.Is finds S3's code and the Go error, and the
// text names the backend.
func TestErrorsTellTheirCause(t *testing.T) {
	s := answering(t, true, xmlAnswer(507, "XMinioStorageFull"))
	_, err := newRemote(t, s.endpoint).Put(bg, putRequest([]byte("x"), literal([]byte("x"))))
	if !errors.Is(err, s3.InsufficientStorage) || !strings.Contains(err.Error(), "put on backend eu-1: ambiguous") {
		t.Errorf("%v", err)
	}
	if s3.ForClient(err).Code != s3.InternalError {
		t.Errorf("a client would read %v", s3.ForClient(err))
	}
	ctx, cancel := context.WithCancelCause(bg)
	cancel(io.ErrNoProgress)
	if err := newRemote(t, s.endpoint).Delete(ctx, "bucket", "key"); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("%v", err)
	}
}

// TestHeadAsksWhy: the 404 of a HEAD is looked into.
func TestHeadAsksWhy(t *testing.T) {
	for name, test := range map[string]struct {
		get  string // the answer to the GET
		want want
	}{
		"key":           {xmlAnswer(404, "NoSuchKey"), want{backend.OK, false}},
		"bucket":        {xmlAnswer(404, "NoSuchBucket"), want{backend.Refused, true}},
		"load balancer": {answerWith(404, "text/html", "nothing here"), want{backend.Refused, true}},
		"denied":        {xmlAnswer(403, "AccessDenied"), want{backend.Refused, true}},
		"failing":       {xmlAnswer(500, "InternalError"), want{backend.Ambiguous, false}},
		"there":         {answerWith(206, "text/plain", "x"), want{backend.Ambiguous, false}},
		"empty":         {xmlAnswer(416, "InvalidRange"), want{backend.Ambiguous, false}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, func(s *script, _ int, c net.Conn) {
				r := bufio.NewReader(c)
				for {
					req, err := s.request(r)
					if err != nil {
						return
					}
					if req.Method == "HEAD" {
						io.WriteString(c, "HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n")
					} else {
						io.WriteString(c, test.get)
					}
				}
			})
			seen, err := newRemote(t, s.endpoint).Head(bg, "bucket", "key")
			test.want.check(t, "head", err)
			if err == nil && seen.Kind != 0 {
				t.Errorf("%+v", seen)
			}
		})
	}
}
