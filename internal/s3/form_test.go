package s3

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// formRequest is a form as mime/multipart writes it; length -1: not told.
func formRequest(t testing.TB, fields []string, filename string, file []byte, tell bool) *http.Request {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", filename)
	if err != nil {
		t.Fatal(err)
	}
	part.Write(file)
	w.Close()
	r := &http.Request{Method: "POST", Header: http.Header{"Content-Type": {w.FormDataContentType()}}, ContentLength: -1, Body: io.NopCloser(iotest.OneByteReader(&b))}
	if tell {
		r.ContentLength = int64(b.Len())
		r.Body = io.NopCloser(&b)
	}
	return r
}

func TestReadForm(t *testing.T) {
	for _, size := range []int{0, 1, 100, MaxFormSpool - 1000, MaxFormSpool, MaxFormSpool + 1, 3 << 20} {
		content := bytes.Repeat([]byte("0123456789\r\n--"), size/14+1)[:size]
		f, err := ReadForm(formRequest(t, []string{"Key", "a/${filename}", "x", "1", "X", "2", "empty", ""}, `C:\dir\b c.txt`, content, true))
		if err != nil {
			t.Fatal(err)
		}
		if key, err := f.Key(); key != "a/b c.txt" || err != nil {
			t.Errorf("key %q, %v", key, err)
		}
		if f.Fields["x"] != "1" {
			t.Errorf("fields %v", f.Fields)
		}
		file, n, err := f.File()
		if err != nil || n != int64(size) {
			t.Fatalf("%d bytes: %d, %v", size, n, err)
		}
		if got, err := io.ReadAll(file); !bytes.Equal(got, content) || err != nil {
			t.Errorf("%d bytes: %d came, %v", size, len(got), err)
		}
	}
}

// TestFormWithoutLength: what is small is taken into memory; what is not is told
// to come with a length.
func TestFormWithoutLength(t *testing.T) {
	f, err := ReadForm(formRequest(t, []string{"key", "k"}, "f", []byte("hello"), false))
	if err != nil {
		t.Fatal(err)
	}
	file, n, err := f.File()
	if got, _ := io.ReadAll(file); err != nil || n != 5 || string(got) != "hello" {
		t.Errorf("%q, %d, %v", got, n, err)
	}
	r := formRequest(t, []string{"key", "k"}, "f", make([]byte, MaxFormSpool), true)
	r.ContentLength = -1
	if f, err = ReadForm(r); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.File(); codeOf(err) != MissingContentLength {
		t.Errorf("%v", err)
	}
}

// TestFormGoesOn: a large file whose length cannot be told right is never whole.
func TestFormGoesOn(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 2<<20)
	whole := func(change func(body string, boundary string) string) error {
		r := formRequest(t, []string{"key", "k"}, "f", content, true)
		body, _ := io.ReadAll(r.Body)
		boundary := strings.TrimPrefix(r.Header.Get("Content-Type"), "multipart/form-data; boundary=")
		text := change(string(body), boundary)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(body))
		if len(text) > len(body) {
			r.ContentLength = int64(len(text))
		}
		f, err := ReadForm(r)
		if err != nil {
			return err
		}
		file, n, err := f.File()
		if err != nil {
			return err
		}
		got, err := io.ReadAll(iotest.HalfReader(file))
		if err == nil && int64(len(got)) != n {
			err = errors.New("short")
		}
		if err != nil && int64(len(got)) == n {
			t.Errorf("every byte was given before the failure: %v", err)
		}
		return err
	}
	if err := whole(func(body, _ string) string { return body }); err != nil {
		t.Errorf("as it should be: %v", err)
	}
	for name, change := range map[string]func(body, boundary string) string{
		"a field behind": func(body, b string) string {
			return strings.TrimSuffix(body, "--\r\n") + "\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--" + b + "--\r\n"
		},
		"no line end":        func(body, _ string) string { return strings.TrimSuffix(body, "\r\n") },
		"cut":                func(body, _ string) string { return body[:len(body)/2] },
		"cut before the end": func(body, _ string) string { return body[:len(body)-10] },
		"text behind":        func(body, _ string) string { return body + "more" },
		"an end in between":  func(body, b string) string { i := len(body) / 2; return body[:i] + "\r\n--" + b + body[i+4+len(b):] },
	} {
		if err := whole(change); err == nil {
			t.Errorf("%s: the file is whole", name)
		}
	}
}

func TestBrokenForms(t *testing.T) {
	read := func(kind, body string) error {
		f, err := ReadForm(&http.Request{Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))})
		if err == nil {
			_, _, err = f.File()
		}
		return err
	}
	const kind, key = "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=key\r\n\r\nk\r\n"
	const file = "--b\r\nContent-Disposition: form-data; name=file; filename=f\r\n\r\n"
	for name, c := range map[string]struct {
		kind, body string
		want       Code
	}{
		"good":              {kind, key + file + "x\r\n--b--", ""},
		"preamble":          {kind, "hello\r\n" + key + file + "x\r\n--b--\r\n", ""},
		"something behind":  {kind, key + file + "x\r\n--b\r\nanything", ""},
		"another type":      {"application/xml", key, PreconditionFailed},
		"no type":           {"", key, PreconditionFailed},
		"no boundary":       {"multipart/form-data", key, MalformedPOSTRequest},
		"a long boundary":   {"multipart/form-data; boundary=" + strings.Repeat("b", 71), key, MalformedPOSTRequest},
		"nothing":           {kind, "", MalformedPOSTRequest},
		"no file":           {kind, key + "--b--\r\n", InvalidArgument},
		"cut":               {kind, key, MalformedPOSTRequest},
		"a cut file":        {kind, key + file + "x", MalformedPOSTRequest},
		"a part of no name": {kind, "--b\r\nContent-Disposition: form-data\r\n\r\nk\r\n" + file, MalformedPOSTRequest},
		"no disposition":    {kind, "--b\r\n\r\nk\r\n" + file, MalformedPOSTRequest},
		"a broken head":     {kind, "--b\r\nContent-Disposition\r\n\r\nk\r\n" + file, MalformedPOSTRequest},
		"a broken boundary": {kind, "--bad\r\n", MalformedPOSTRequest},
		"a long field":      {kind, "--b\r\nContent-Disposition: form-data; name=key\r\n\r\n" + strings.Repeat("k", maxFormBytes+1) + "\r\n" + file, MalformedPOSTRequest},
		"many fields":       {kind, strings.Repeat(key, 1000) + file, MalformedPOSTRequest},
	} {
		if err := read(c.kind, c.body); codeOf(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestFormHeaders(t *testing.T) {
	f := &Form{Fields: map[string]string{"key": "k", "acl": "private", "content-type": "text/plain", "x-amz-meta-a": "b", "x-amz-date": "d", "x-ignore-me": "1",
		"policy": "p", "success_action_status": "201", "tagging": "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"}}
	h, err := f.Headers()
	if err != nil || len(h) != 4 || h.Get("X-Amz-Acl") != "private" || h.Get("Content-Type") != "text/plain" || h.Get("X-Amz-Meta-A") != "b" || h.Get("X-Amz-Tagging") != "a=b" {
		t.Errorf("%v, %v", h, err)
	}
	for name, value := range map[string]string{"content-type": "a\r\nb: c", "x-amz-meta-\r\n": "b", "tagging": "<Tagging/>"} {
		if _, err := (&Form{Fields: map[string]string{name: value}}).Headers(); codeOf(err).Status() != 400 {
			t.Errorf("%q: %q: %v", name, value, err)
		}
	}
}

func policyOf(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestPostPolicies(t *testing.T) {
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	const until = `{"expiration": "2026-11-28T01:00:00.000Z", "conditions": [{"bucket": "photos"}`
	form := &Form{Fields: map[string]string{"key": "u/${filename}", "content-type": "image/png, image/jpeg", "policy": "p", "x-amz-signature": "s", "x-ignore-this": "1"}}
	const rest = `, ["starts-with", "$key", "u/"], ["starts-with", "$Content-Type", "image/"]`
	for name, c := range map[string]struct {
		text string
		want Code
	}{
		"good":                          {until + rest + `]}`, ""},
		"good, with a length":           {until + rest + `, ["content-length-range", 1, "1e3"]]}`, ""},
		"good, equal":                   {until + rest + `, ["eq", "$key", "u/f"]]}`, ""},
		"expired":                       {strings.Replace(until, "T01", "T00", 1)[:30] + `27T00:00:00Z", "conditions": []}`, InvalidPolicyDocument},
		"too late":                      {strings.Replace(until, "28T01", "27T01", 1) + rest + `]}`, AccessDenied},
		"another bucket":                {strings.Replace(until, "photos", "other", 1) + rest + `]}`, AccessDenied},
		"no bucket":                     {`{"expiration": "2026-11-28T01:00:00Z", "conditions": [["starts-with", "$key", ""], ["starts-with", "$content-type", ""]]}`, AccessDenied},
		"an operation in capitals":      {until + `, ["EQ", "$key", "other"], ["starts-with", "$content-type", ""]]}`, AccessDenied},
		"another key":                   {until + `, {"key": "other"}, ["starts-with", "$content-type", ""]]}`, AccessDenied},
		"another type":                  {until + `, ["starts-with", "$key", ""], ["starts-with", "$content-type", "image/p"]]}`, AccessDenied},
		"a field that nothing names":    {until + `, ["starts-with", "$key", ""]]}`, AccessDenied},
		"a field that is not there":     {until + rest + `, {"acl": "private"}]}`, AccessDenied},
		"no text":                       {"", InvalidPolicyDocument},
		"no JSON":                       {"{", InvalidPolicyDocument},
		"no object":                     {"[]", InvalidPolicyDocument},
		"no expiration":                 {`{"conditions": []}`, InvalidPolicyDocument},
		"no conditions":                 {`{"expiration": "2026-11-28T01:00:00Z"}`, InvalidPolicyDocument},
		"null conditions":               {`{"expiration": "2026-11-28T01:00:00Z", "conditions": null}`, InvalidPolicyDocument},
		"an expiration that is none":    {`{"expiration": "later", "conditions": []}`, InvalidPolicyDocument},
		"an expiration of another kind": {`{"expiration": 5, "conditions": []}`, InvalidPolicyDocument},
		"something else":                {`{"expiration": "2026-11-28T01:00:00Z", "conditions": [], "more": 1}`, InvalidPolicyDocument},
		"conditions that are none":      {`{"expiration": "2026-11-28T01:00:00Z", "conditions": {}}`, InvalidPolicyDocument},
		"a condition of text":           {until + `, "x"]}`, InvalidPolicyDocument},
		"an empty condition":            {until + `, []]}`, InvalidPolicyDocument},
		"an empty simple condition":     {until + `, {}]}`, InvalidPolicyDocument},
		"a simple condition of two":     {until + `, {"a": "b", "c": "d"}]}`, InvalidPolicyDocument},
		"a simple condition of numbers": {until + `, {"a": 1}]}`, InvalidPolicyDocument},
		"an unknown condition":          {until + `, ["ends-with", "$key", "x"]]}`, InvalidPolicyDocument},
		"a condition of a number":       {until + `, [1, "$key", "x"]]}`, InvalidPolicyDocument},
		"a condition of two":            {until + `, ["eq", "$key"]]}`, InvalidPolicyDocument},
		"a condition of other things":   {until + `, ["eq", 1, "x"]]}`, InvalidPolicyDocument},
		"a value of other things":       {until + `, ["eq", "$key", {}]]}`, InvalidPolicyDocument},
		"a length that is none":         {until + `, ["content-length-range", "a", 1]]}`, InvalidPolicyDocument},
		"a field without a dollar":      {until + `, ["eq", "key", "x"]]}`, AccessDenied},
	} {
		p, err := ParsePostPolicy(policyOf(c.text))
		if err == nil {
			err = p.Check(form, "photos", "u/f", now)
		}
		if codeOf(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := ParsePostPolicy("?"); codeOf(err) != InvalidPolicyDocument {
		t.Errorf("no base64: %v", err)
	}
	p, err := ParsePostPolicy(policyOf(until + `, ["content-length-range", 2, 4]]}`))
	if err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int64]Code{1: EntityTooSmall, 2: "", 4: "", 5: EntityTooLarge} {
		if err := p.CheckSize(size); codeOf(err) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func FuzzPostPolicy(f *testing.F) {
	f.Add(`{"expiration": "2026-11-28T01:00:00.000Z", "conditions": [{"bucket": "b"}, ["starts-with", "$key", ""], ["content-length-range", 0, 5]]}`, "b", "k")
	f.Add(`{"conditions":[[]]}`, "", "")
	f.Fuzz(func(t *testing.T, text, bucket, key string) {
		p, err := ParsePostPolicy(policyOf(text))
		if err == nil {
			err = p.Check(&Form{Fields: map[string]string{"key": key}}, bucket, key, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		}
		if err != nil && codeOf(err).Status()/100 != 4 {
			t.Fatalf("%q: %v", text, err)
		}
		if err == nil && !strings.Contains(strings.ToLower(text), "bucket") && !strings.Contains(text, `\u`) {
			t.Fatalf("%q allows any bucket", text)
		}
	})
}

// FuzzForm: what mime/multipart reads as fields and one file is read alike.
func FuzzForm(f *testing.F) {
	f.Add("k", "v", "name", []byte("content"), true)
	f.Add("", "\r\n--", "a\"b", []byte("\r\n--x"), false)
	f.Fuzz(func(t *testing.T, field, value, filename string, file []byte, tell bool) {
		r := formRequest(t, []string{field, value}, filename, file, tell)
		raw, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(raw))
		boundary := strings.TrimPrefix(r.Header.Get("Content-Type"), "multipart/form-data; boundary=")
		form, err := ReadForm(r)
		if err != nil {
			if codeOf(err).Status()/100 != 4 {
				t.Fatal(err)
			}
			return
		}
		content, n, err := form.File()
		if err != nil {
			if codeOf(err).Status()/100 != 4 {
				t.Fatal(err)
			}
			return
		}
		got, err := io.ReadAll(content)
		if err != nil || int64(len(got)) != n {
			t.Fatalf("%d of %d bytes, %v", len(got), n, err)
		}
		std := multipart.NewReader(bytes.NewReader(raw), boundary)
		for {
			part, err := std.NextRawPart()
			if err != nil {
				return
			}
			if part.FormName() == "file" {
				if want, err := io.ReadAll(part); err == nil && !bytes.Equal(got, want) {
					t.Fatalf("%q, mime/multipart has %q", got, want)
				}
				return
			}
		}
	})
}
