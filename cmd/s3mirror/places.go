package main

import (
	"sync"

	"github.com/s3mirror/s3mirror/internal/backend"
)

// places is how each backend is spoken to, those of the configuration and those that
// were added. Safe for concurrent use.
type places struct {
	mu sync.RWMutex // guards of
	of map[string]spoken
}

// spoken is how one backend is spoken to.
type spoken struct {
	options backend.Options
	mode    string // payload_mode
	added   bool   // while nodes ran
}

func (p *places) get(name string) (spoken, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	one, ok := p.of[name]
	return one, ok
}

// options are empty for a backend that is not known.
func (p *places) options(name string) backend.Options {
	one, _ := p.get(name)
	return one.options
}

func (p *places) set(name string, one spoken) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = map[string]spoken{}
	}
	p.of[name] = one
}

func (p *places) drop(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.of, name)
}

// inPlaceOf is another backend than the named one in the same place, with the same access
// key: two replicas in one place are one copy. Empty: there is none.
func (p *places) inPlaceOf(name string, o backend.Options) string {
	ignore := func(string, string, ...any) {}
	place := validateEndpoint("", o.Endpoint.String(), ignore)
	p.mu.RLock()
	defer p.mu.RUnlock()
	for other, one := range p.of {
		if other != name && one.options.AccessKeyID == o.AccessKeyID && validateEndpoint("", one.options.Endpoint.String(), ignore) == place {
			return other
		}
	}
	return ""
}
