package replica

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// answerOf puts the outcome of a request into the protocol's words (R11, R12).
func answerOf(err error) commit.Answer {
	switch backend.OutcomeOf(err) {
	case backend.OK, backend.Absent:
		return commit.Answer{Class: commit.Yes}
	case backend.Refused:
		code, words := refusalOf(err)
		return commit.Answer{Class: commit.No, Code: code, Words: words}
	case backend.NotSent, backend.Throttled:
		return commit.Answer{Class: commit.No}
	}
	return commit.Answer{Class: commit.Ambiguous}
}

// maxWords bounds what is kept of a server's words, bytes.
const maxWords = 200

// refusalOf is the endpoint's own code and what it said, if it is about the request: what
// lies between us and the endpoint is no verdict on the key.
func refusalOf(err error) (code, words string) {
	var e *s3.Error
	if backend.IsMisconfigured(err) || !errors.As(err, &e) || e.Status/100 != 4 {
		return "", ""
	}
	words = strings.ToValidUTF8(e.Message, "\uFFFD")
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "") + "…"
	}
	return string(e.Code), words
}

// said is an answer in the words of the history.
func said(a commit.Answer) string {
	switch {
	case a.Class == commit.Yes:
		return "ok"
	case a.Class == commit.Ambiguous:
		return "ambiguous"
	case a.Code != "":
		return a.Code
	}
	return "no"
}

// failure is what a client is told of a write that was not acknowledged.
func failure(res commit.Result) *s3.Error {
	if res.Kind == commit.Doubt {
		return unavailable(errDoubt)
	}
	if code, ok := unanimous(res.No); ok {
		return s3.Err(code)
	}
	e := s3.Err(s3.Code(res.Code))
	if len(res.No) > 0 {
		e = e.Because(fmt.Errorf("refused by replicas: %v", res.No))
	}
	return e
}

// aboutName are the codes by which servers say that they cannot hold a name.
var aboutName = []s3.Code{
	s3.BadName, s3.InvalidURI, s3.KeyTooLong,
	s3.ObjectParentIsFile, s3.ExistingObjectIsDirectory, s3.DirectoryObjectContainsData,
}

// unanimous is the code with which every replica that refused did so, when it is
// one that a client may be told. That a name cannot be held servers say in many
// words: the first replica's are as good as any, and better than to be asked to
// come again.
func unanimous(no map[string]string) (s3.Code, bool) {
	var code s3.Code
	for _, replica := range slices.Sorted(maps.Keys(no)) {
		c := s3.Code(no[replica])
		if code != "" && code != c && !(slices.Contains(aboutName, code) && slices.Contains(aboutName, c)) {
			return "", false
		}
		code = cmp.Or(code, c)
	}
	return code, code != "" && code.Status()/100 == 4 && !strings.HasPrefix(string(code), "NoSuch")
}
