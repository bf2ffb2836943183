package probe

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/backend"
)

// rule is a kind of key that not every server can hold. rival is the key that a
// server would mix it up with; it is written first.
type rule struct{ name, key, rival string }

// rules of S3.md 2.3 and 7.4. Each has a folder of its own, so that one rule
// does not spoil another. Control characters are not among them: where they break
// listings they would break those of clients meanwhile.
var rules = []rule{
	{"file-and-folder", "ff/a/below", "ff/a"},
	{"empty-segment", "es/a//b", "es/a/b"},
	{"dot-segment", "ds/a/./b", "ds/a/b"},
	{"dot-dot-segment", "dd/a/../b", "dd/b"},
	{"trailing-slash", "ts/a/", "ts/a"},
	{"trailing-dot", "td/a.", "td/a"},
	{"case", "ca/Key", "ca/key"},
	{"unicode-form", "uf/e\u0301", "uf/\u00e9"},
	{"backslash", `bs/a\b`, "bs/a/b"},
	{"percent", "pc/a%2Fb", "pc/a/b"},
	{"plus", "pl/a+b", "pl/a b"},
	{"long-segment", "ls/" + strings.Repeat("s", 300), "ls/s"},
	{"long-key", "lk" + strings.Repeat("/0123456789", 80), "lk/0"}, // with the prefix below 1,024 bytes
	{"star-and-question", "sq/a*b?c", "sq/axbyc"},
}

// keys makes a finding for every rule.
func (r *runner) keys(ctx context.Context) []Probe {
	found := make([]Probe, 0, len(rules))
	for _, rule := range rules {
		result, detail := r.rule(ctx, rule)
		found = append(found, Probe{KeyProbe + rule.name, result, detail})
	}
	return found
}

// rule: Yes, the endpoint holds the key beside its rival; No, it refuses it;
// Unsafe, it takes it and mixes it up, or hides it.
func (r *runner) rule(ctx context.Context, rule rule) (Result, string) {
	rival, own := pattern("rival "+rule.name, 200), pattern("own "+rule.name, 200)
	if err := r.put(ctx, rule.rival, rival, nil); err != nil {
		return unknown(err)
	}
	refusal := r.put(ctx, rule.key, own, nil)
	if refusal != nil && backend.OutcomeOf(refusal) != backend.Refused {
		return unknown(refusal)
	}
	switch same, err := r.holds(ctx, rule.rival, rival); {
	case err != nil:
		return unknown(err)
	case !same:
		return Unsafe, "it is mixed up with another key"
	case refusal != nil:
		return No, "refused: " + refusal.Error()
	}
	switch got, _, err := r.get(ctx, rule.key); {
	case err != nil && !errors.Is(err, errAbsent):
		return unknown(err)
	case !bytes.Equal(got, own):
		return Unsafe, "it is taken, and not found again"
	}
	switch listed, err := r.listed(ctx, rule.key); {
	case errors.Is(err, backend.ErrOrder):
		return Unsafe, "it is taken, and breaks listings: " + err.Error()
	case err != nil:
		return unknown(err)
	case !listed:
		return Unsafe, "it is taken, and listings do not show it"
	}
	return Yes, ""
}

// listed tells whether a listing of the rule's folder shows the key.
func (r *runner) listed(ctx context.Context, key string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	folder, _, _ := strings.Cut(key, "/")
	page, err := r.remote.List(ctx, r.bucket, backend.ListRequest{Prefix: r.prefix + folder + "/"})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(page.Entries, func(e backend.Entry) bool { return e.Key == r.prefix+key }), nil
}
