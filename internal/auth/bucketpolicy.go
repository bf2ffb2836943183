package auth

import (
	"slices"
	"strings"
)

// BucketPolicy is what a bucket says about who may do what in it: a policy of S3, parsed
// (docs/decisions/0039 and 0046). It never changes. What it allows takes the place of the user's
// scopes and buckets; what it denies nobody may but root. No policy takes the place of the
// limits of addresses and extensions, of the role, or of being active.
type BucketPolicy struct{ statements []statement }

// statement is one of a policy's statements. Names are patterns where they may be.
type statement struct {
	deny       bool
	everyone   bool     // else:
	principals []string // logins and access keys
	actions    []string
	resources  []string // bucket, or bucket/key
	conditions []condition
}

// decision is what a policy says to one action on one resource.
type decision uint8

const (
	silent decision = iota
	allowed
	denied
)

// decide is what the policy says. Where names that a server may take for one another are
// denied by either form, they are allowed by both.
func (p *BucketPolicy) decide(u *User, action, bucket, key string, a *Access) decision {
	if p == nil {
		return silent
	}
	verdict := silent
	for i := range p.statements {
		s := &p.statements[i]
		if !s.speaksOf(u) || !matchesAny(s.actions, action) || !s.covers(bucket, key) || !s.holds(u, a) {
			continue
		}
		if s.deny {
			return denied
		}
		verdict = allowed
	}
	return verdict
}

// hopes tells whether the policy may allow the action for some key: what is asked before
// the keys are known.
func (p *BucketPolicy) hopes(u *User, action string, a *Access) bool {
	return p != nil && slices.ContainsFunc(p.statements, func(s statement) bool {
		return !s.deny && s.speaksOf(u) && matchesAny(s.actions, action) && s.holds(u, a)
	})
}

func (s *statement) speaksOf(u *User) bool {
	return s.everyone || slices.ContainsFunc(s.principals, u.called)
}

// called tells whether a policy that names a principal means the user: by his login, or by
// one of his keys, whichever he comes with. Nobody without credentials has a name.
func (u *User) called(principal string) bool {
	if u.Anonymous() {
		return false
	}
	return principal == u.Login || slices.ContainsFunc(u.Keys, func(k AccessKey) bool { return k.ID == principal })
}

func (s *statement) covers(bucket, key string) bool {
	if key == "" {
		return matchesAny(s.resources, bucket)
	}
	plain, folded := matchesAny(s.resources, bucket+"/"+key), matchesAny(s.resources, bucket+"/"+fold(key))
	if s.deny {
		return plain || folded
	}
	return plain && folded
}

func (s *statement) holds(u *User, a *Access) bool {
	return !slices.ContainsFunc(s.conditions, func(c condition) bool { return !c.holds(u, a) })
}

// grants are the parts of an access that policies allow.
type grants struct{ target, source bool }

// ruling is what the policies of the buckets say: whether one denies, and what they allow.
func (a *Access) ruling(u *User, n need) (g grants, deny bool) {
	if a.Policy == nil && a.SourcePolicy == nil {
		return grants{}, false
	}
	if n.where == atService {
		return grants{}, false
	}
	if n.many && a.Key == "" {
		return grants{target: a.Policy.hopes(u, actionOf(a.Operation), a)}, false
	}
	key := a.Key
	if n.where != atObject {
		key = ""
	}
	must, also := a.actions()
	g.target = true
	for _, action := range must {
		switch a.Policy.decide(u, action, a.Bucket, key, a) {
		case denied:
			return grants{}, true
		case silent:
			g.target = false
		case allowed:
		}
	}
	for _, action := range also {
		if a.Policy.decide(u, action, a.Bucket, key, a) == denied {
			return grants{}, true
		}
	}
	if n.source {
		action := "s3:GetObject"
		if n.moves {
			action = "s3:DeleteObject"
		}
		verdict := a.SourcePolicy.decide(u, action, a.Source.Bucket, a.Source.Name, a)
		g.source = verdict == allowed
		return g, verdict == denied
	}
	return g, false
}

// Public tells whether the policy allows something to everybody, wherever he is and whoever
// he says he is.
func (p *BucketPolicy) Public() bool {
	return p != nil && slices.ContainsFunc(p.statements, func(s statement) bool {
		return !s.deny && s.everyone && !slices.ContainsFunc(s.conditions, condition.narrows)
	})
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

// matches tells whether a name is of a pattern, in which * stands for any characters and ?
// for one. It takes time in proportion to the product of both lengths at most.
func matches(pattern, name string) bool {
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p, n = p+1, n+1
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
