package s3

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

func deleteBody(inner ...string) string { return "<Delete>" + strings.Join(inner, "") + "</Delete>" }

func victim(key, more string) string { return "<Object><Key>" + key + "</Key>" + more + "</Object>" }

func TestParseDelete(t *testing.T) {
	many := make([]string, MaxDeletes+1)
	for i := range many {
		many[i] = victim(fmt.Sprint(i), "")
	}
	for name, c := range map[string]struct {
		body string
		want string // keys, each with the code of its refusal
		code Code
	}{
		"one":             {deleteBody(victim("a", "")), "a", ""},
		"quiet":           {deleteBody("<Quiet>true</Quiet>", victim("a", ""), victim("b", "")), "quiet a b", ""},
		"loud quiet":      {deleteBody("<Quiet>TRUE</Quiet>", victim("a", "")), "quiet a", ""},
		"quiet behind":    {deleteBody(victim("a", ""), "<Quiet> false </Quiet>"), "a", ""},
		"namespace":       {"<?xml version='1.0'?><Delete xmlns='" + Namespace + "'>" + victim(" a&amp;b ", "") + "</Delete>", " a&b ", ""},
		"control":         {deleteBody(victim("a&#x1;&#xd;", "")), "a\x01\r", ""},
		"twice":           {deleteBody(victim("a", ""), victim("a", "")), "a a", ""},
		"version null":    {deleteBody(victim("a", "<VersionId>null</VersionId>")), "a", ""},
		"version":         {deleteBody(victim("a", "<VersionId>x</VersionId>"), victim("b", "")), "a:InvalidArgument b", ""},
		"reserved":        {deleteBody(victim(".s3mirror/x", "")), ".s3mirror/x:AccessDenied", ""},
		"folded":          {deleteBody(victim("a/..//.s3mirror/x", "")), "a/..//.s3mirror/x:AccessDenied", ""},
		"long key":        {deleteBody(victim(strings.Repeat("k", 1025), "")), strings.Repeat("k", 1025) + ":KeyTooLongError", ""},
		"bad size":        {deleteBody(victim("a", "<Size>x</Size>")), "a:InvalidArgument", ""},
		"bad time":        {deleteBody(victim("a", "<LastModifiedTime>x</LastModifiedTime>")), "a:InvalidArgument", ""},
		"a thousand":      {deleteBody(many[:MaxDeletes]...), "1000 keys", ""},
		"one more":        {deleteBody(many...), "", MalformedXML},
		"nothing":         {deleteBody(), "", MalformedXML},
		"quiet alone":     {deleteBody("<Quiet>true</Quiet>"), "", MalformedXML},
		"no document":     {"", "", MalformedXML},
		"another root":    {"<CompleteMultipartUpload/>", "", MalformedXML},
		"no key":          {deleteBody("<Object><ETag>e</ETag></Object>"), "", MalformedXML},
		"empty key":       {deleteBody(victim("", "")), "", MalformedXML},
		"nested key":      {deleteBody(victim("<b/>", "")), "", MalformedXML},
		"unknown":         {deleteBody(victim("a", "<X>1</X>")), "", MalformedXML},
		"unknown at root": {deleteBody(victim("a", ""), "<X/>"), "", MalformedXML},
		"odd quiet":       {deleteBody("<Quiet>yes</Quiet>", victim("a", "")), "", MalformedXML},
		"NUL":             {deleteBody(victim("&#0;", "")), "", MalformedXML},
		"trailing":        {deleteBody(victim("a", "")) + "x", "", MalformedXML},
		"bomb":            {"<!DOCTYPE x [<!ENTITY a \"aa\">]>" + deleteBody(victim("&a;", "")), "", MalformedXML},
		"deep":            {deleteBody(strings.Repeat("<Object>", 5000)), "", MalformedXML},
		"too long":        {deleteBody(victim("a", "")) + strings.Repeat(" ", MaxDeleteBytes), "", MalformedXML},
	} {
		del, err := ParseDelete(&Operation{}, strings.NewReader(c.body))
		if codeOf(err) != c.code || err == nil && victims(del) != c.want {
			t.Errorf("%s: %+v, %v", name, del, err)
		}
	}
	del, err := ParseDelete(&Operation{backend: true}, strings.NewReader(deleteBody(victim(".s3mirror/x", ""))))
	if err != nil || del.Objects[0].Refusal != nil {
		t.Errorf("behind the gateway: %+v, %v", del, err)
	}
	lost := errors.New("connection lost")
	if _, err := ParseDelete(&Operation{}, &failing{r: strings.NewReader("<Delete>"), err: lost}); !errors.Is(err, lost) {
		t.Errorf("%v", err)
	}
}

func victims(del *Delete) string {
	var words []string
	if del.Quiet {
		words = append(words, "quiet")
	}
	for _, e := range del.Objects {
		word := e.Key
		if e.Refusal != nil {
			word += ":" + string(e.Refusal.Code)
		}
		words = append(words, word)
	}
	if len(words) > 100 {
		return fmt.Sprint(len(words), " keys")
	}
	return strings.Join(words, " ")
}

func TestDeleteConditions(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	cur := object.Info{Kind: object.Present, ETag: "e", Size: 5, ModTime: at}
	for name, c := range map[string]struct {
		more string
		code Code
	}{
		"none":      {"", ""},
		"all hold":  {"<ETag>\"e\"</ETag><Size> 5 </Size><LastModifiedTime>" + at.Format(time.RFC3339) + "</LastModifiedTime>", ""},
		"star":      {"<ETag>*</ETag>", ""},
		"ETag":      {"<ETag>f</ETag>", PreconditionFailed},
		"size":      {"<Size>6</Size>", PreconditionFailed},
		"time":      {"<LastModifiedTime>2026-01-02T03:04:06Z</LastModifiedTime>", PreconditionFailed},
		"HTTP date": {"<LastModifiedTime>Fri, 02 Jan 2026 03:04:05 GMT</LastModifiedTime>", ""},
	} {
		del, err := ParseDelete(&Operation{}, strings.NewReader(deleteBody(victim("a", c.more))))
		if err != nil || del.Objects[0].Refusal != nil {
			t.Fatalf("%s: %+v, %v", name, del, err)
		}
		if err := del.Objects[0].If.Check(cur); codeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRequireDigest(t *testing.T) {
	for _, c := range []struct {
		header []string
		code   Code
	}{
		{nil, InvalidRequest},
		{[]string{"Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="}, ""},
		{[]string{"x-amz-checksum-crc32", "AAAAAA=="}, ""},
		{[]string{"x-amz-checksum-crc32", "AAAA"}, InvalidRequest},
		{[]string{"x-amz-sdk-checksum-algorithm", "CRC32"}, InvalidRequest},
	} {
		if err := RequireDigest(header(c.header...)); codeOf(err) != c.code {
			t.Errorf("%v: %v", c.header, err)
		}
	}
}

func TestDecodeDeleted(t *testing.T) {
	doc := (&Delete{}).Document([]DeleteOutcome{{Key: "a"}, {Key: "b", Err: Err(AccessDenied)}, {Key: "c d", Version: "null"}})
	got, err := DecodeDeleted(bytes.NewReader(doc))
	if err != nil || len(got) != 3 || got["a"] != nil || got["c d"] != nil || codeOf(got["b"]) != AccessDenied {
		t.Errorf("%v, %v", got, err)
	}
	if _, ok := got["e"]; ok {
		t.Error("a key that was not named")
	}
	result := func(inner string) string { return "<DeleteResult>" + inner + "</DeleteResult>" }
	got, err = DecodeDeleted(strings.NewReader(result("<X/><Error><Key>a</Key><Code>InternalError</Code></Error><Deleted><Key>a</Key><DeleteMarker>true</DeleteMarker></Deleted>")))
	if err != nil || codeOf(got["a"]) != InternalError {
		t.Errorf("what failed and was deleted too: %v, %v", got, err)
	}
	for name, doc := range map[string]string{
		"cut": "<DeleteResult><Deleted><Key>a</Key></Deleted>", "cut error": "<DeleteResult><Error><Key>a</Key>", "another": "<html/>", "nothing": "",
		"error": "<Error><Code>SlowDown</Code></Error>",
	} {
		if got, err := DecodeDeleted(strings.NewReader(doc)); err == nil || got != nil || (codeOf(err) == SlowDown) != (name == "error") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestBatchable(t *testing.T) {
	for key, want := range map[string]bool{"a b": true, "é世": true, "a\tb\r\n": true, "a\x01": false, "\ufffe": false, "\x1f": false} {
		if Batchable(key) != want {
			t.Errorf("%q: %v", key, !want)
		}
	}
}

// FuzzDelete: of a document that we take, encoding/xml reads the same keys. A
// document of ours comes back, for whatever keys are batchable.
func FuzzDelete(f *testing.F) {
	for _, s := range []string{deleteBody(victim("a", ""), victim("b", "<ETag>e</ETag>")), deleteBody("<Quiet>true</Quiet>", victim("a&lt;", "")), deleteBody(victim("a&#x1;", "")),
		deleteBody(victim("", "")), "<!DOCTYPE a>", deleteBody(victim("a", "<VersionId>1</VersionId>"))} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		del, err := ParseDelete(&Operation{}, bytes.NewReader(body))
		if err != nil {
			if codeOf(err) != MalformedXML {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		var keys []string
		for _, e := range del.Objects {
			if e.Refusal == nil && (reserved(e.Key) || checkKey(e.Key) != nil) {
				t.Fatalf("%q: key %q is not refused", body, e.Key)
			}
			if Batchable(e.Key) {
				keys = append(keys, e.Key)
			}
		}
		if len(keys) > 0 {
			again, err := ParseDelete(&Operation{}, bytes.NewReader(DeleteDocument(keys)))
			if err != nil || len(again.Objects) != len(keys) {
				t.Fatalf("%q: %q came back as %+v, %v", body, keys, again, err)
			}
			var std struct{ Object []struct{ Key string } }
			if err := xml.Unmarshal(DeleteDocument(keys), &std); err != nil {
				t.Fatalf("%q: encoding/xml says of our document: %v", keys, err)
			}
			for i, key := range keys {
				if again.Objects[i].Key != key || std.Object[i].Key != key {
					t.Fatalf("%q came back as %q, by encoding/xml as %q", key, again.Objects[i].Key, std.Object[i].Key)
				}
			}
		}
		if !strictXML(string(body)) {
			return
		}
		var std struct {
			Quiet  string
			Object []struct{ Key string }
		}
		if err := xml.Unmarshal(body, &std); err != nil {
			if strings.Contains(err.Error(), "illegal character code") {
				return // a control character, which S3 allows
			}
			t.Fatalf("%q is taken, encoding/xml says %v", body, err)
		}
		if len(std.Object) != len(del.Objects) || (strings.EqualFold(strings.TrimSpace(std.Quiet), "true")) != del.Quiet && strings.Count(string(body), "<Quiet") < 2 {
			t.Fatalf("%q: %+v, encoding/xml has %+v", body, del, std)
		}
		for i, o := range std.Object {
			if o.Key != del.Objects[i].Key && strings.Count(string(body), "<Key") == len(std.Object) {
				t.Fatalf("%q: key %q, encoding/xml has %q", body, del.Objects[i].Key, o.Key)
			}
		}
	})
}

// FuzzDecodeDeleted: a key that a document of ours names comes back with its
// verdict.
func FuzzDecodeDeleted(f *testing.F) {
	f.Add("a", "b<&>\r", []byte("<DeleteResult/>"))
	f.Fuzz(func(t *testing.T, good, bad string, doc []byte) {
		_, _ = DecodeDeleted(bytes.NewReader(doc))
		if good == bad || !plainText(good) || !plainText(bad) {
			return
		}
		got, err := DecodeDeleted(bytes.NewReader((&Delete{}).Document([]DeleteOutcome{{Key: good}, {Key: bad, Version: "null", Err: Err(AccessDenied)}})))
		if verdict, ok := got[good]; err != nil || !ok || verdict != nil || codeOf(got[bad]) != AccessDenied || len(got) != 2 {
			t.Fatalf("%q and %q came back as %v, %v", good, bad, got, err)
		}
	})
}
