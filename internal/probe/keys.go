package probe

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
)

// rule is a kind of key that not every server can hold. rival is the key that a
// server would mix it up with; it is written first.
type rule struct {
	of         object.KeyRules
	key, rival string
	empty      bool // the object of the key has no data
}

// rules of S3.md 2.3 and 7.4. Each has a folder of its own, so that one rule
// does not spoil another. The last one is the only one that may break listings: its
// object goes as soon as it has been looked for, and no bucket of a backend that is
// being probed for the first time serves lists yet.
var rules = []rule{
	{object.FileAndFolder, "ff/a/below", "ff/a", false},
	{object.EmptySegment, "es/a//b", "es/a/b", false},
	{object.DotSegment, "ds/a/./b", "ds/a/b", false},
	{object.DotDotSegment, "dd/a/../b", "dd/b", false},
	{object.FolderWithData, "ts/a/", "ts/b", false},
	{object.FolderObject, "fo/a/", "fo/b", true},
	{object.TrailingDot, "td/a.", "td/a", false},
	{object.UpperCase, "ca/Key", "ca/key", false},
	{object.CombiningMark, "uf/e\u0301", "uf/\u00e9", false},
	{object.Backslash, `bs/a\b`, "bs/a/b", false},
	{object.PercentEscape, "pc/a%2fb", "pc/a/b", false},
	{object.Plus, "pl/a+b", "pl/a b", false},
	{object.LongSegment, "ls/" + strings.Repeat("s", 300), "ls/s", false},
	{object.LongKey, "lk" + strings.Repeat("/0123456789", 80), "lk/0", false}, // with the prefix below 1,024 bytes
	{object.Wildcard, "sq/a*b?c:d", "sq/axbyczd", false},
	{object.BackslashDots, `bd/a\..\b`, "bd/b", false},
	{object.ControlCharacter, "cc/a\x01b", "cc/ab", false},
}

// keys makes a finding for every rule.
func (r *runner) keys(ctx context.Context) []Probe {
	found := make([]Probe, 0, len(rules))
	for _, rule := range rules {
		result, detail := r.rule(ctx, rule)
		found = append(found, Probe{KeyProbe + rule.of.String(), result, detail})
	}
	return found
}

// Keys tells of which kinds the endpoint refuses keys, and of which it mixes them up
// with others or hides them.
func (r *Report) Keys() (refuses, mixes object.KeyRules) {
	for _, rule := range rules {
		switch r.Result(KeyProbe + rule.of.String()) {
		case No:
			refuses |= rule.of
		case Unsafe:
			mixes |= rule.of
		case Yes, Unknown:
		}
	}
	return refuses, mixes
}

// rule: Yes, the endpoint holds the key beside its rival; No, it refuses it;
// Unsafe, it takes it and mixes it up, or hides it.
func (r *runner) rule(ctx context.Context, rule rule) (Result, string) {
	rival, own := pattern("rival "+rule.of.String(), 200), pattern("own "+rule.of.String(), 200)
	if rule.empty {
		own = nil
	}
	if err := r.put(ctx, rule.rival, rival, nil); err != nil {
		return unknown(err)
	}
	refusal := r.put(ctx, rule.key, own, nil)
	if rule.of == object.ControlCharacter {
		defer func() { _ = r.delete(ctx, rule.key) }() // clean tries again
	}
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
	case err != nil || !bytes.Equal(got, own):
		return Unsafe, "it is taken, and not found again"
	}
	switch listed, err := r.listed(ctx, rule.key); {
	case errors.Is(err, backend.ErrOrder), errors.Is(err, backend.ErrAnswer):
		return Unsafe, "it is taken, and breaks listings: " + err.Error()
	case err != nil:
		return unknown(err)
	case !listed:
		return Unsafe, "it is taken, and listings do not show it"
	}
	return r.removable(ctx, rule, rival)
}

// removable: the key can be deleted, and its rival stays.
func (r *runner) removable(ctx context.Context, rule rule, rival []byte) (Result, string) {
	if err := r.delete(ctx, rule.key); err != nil {
		if backend.OutcomeOf(err) == backend.Refused {
			return Unsafe, "it is taken, and can not be deleted: " + err.Error()
		}
		return unknown(err)
	}
	switch same, err := r.holds(ctx, rule.rival, rival); {
	case err != nil:
		return unknown(err)
	case !same:
		return Unsafe, "with it another key is deleted"
	}
	switch gone, err := r.holds(ctx, rule.key, nil); {
	case err != nil:
		return unknown(err)
	case !gone:
		return Unsafe, "it is taken, and is there after it was deleted"
	}
	return Yes, ""
}

func (r *runner) delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	return r.remote.Delete(ctx, r.bucket, r.full(key))
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
