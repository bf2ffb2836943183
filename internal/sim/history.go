package sim

import (
	"fmt"
	"math"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// verb is what a client did.
type verb uint8

const (
	verbPut verb = iota
	verbDelete
	verbRead
	verbList // presence of the key on a page of a list
	verbTag  // change of its tags
	verbTags // read of them
)

// call is one client operation; the ETag names the state, "" is absence.
type call struct {
	verb    verb
	etag    string // put: the new state
	tags    string // put, tag: its tags
	ifNone  bool   // If-None-Match: *
	ifMatch string // If-Match
}

// result of a call as its client knows it.
type result struct {
	done    bool   // an answer came
	unknown bool   // 5xx after the release, or no answer: open-ended
	refused bool   // the condition failed
	etag    string // read: the state
	present bool   // list: the key was on the page; tags: there is an object
	tags    string // tags: what they are
}

type record struct {
	key     object.Key
	client  int
	gateway *gateway
	life    int
	call    call
	res     result
	began   time.Duration
	ended   time.Duration
	drop    bool // definitely failed, or a read without an answer
}

// history records what clients did and saw.
type history struct {
	w       *world
	records []*record
	failed  map[string]bool // ETags of writes that definitely failed: never to be read
	served  map[string]bool
}

// begin records a call to a gateway; nil: to whichever lives, so that no crash ends it.
func (h *history) begin(key object.Key, client int, g *gateway, c call) *record {
	r := &record{key: key, client: client, gateway: g, call: c, began: h.w.now}
	if g != nil {
		r.life = g.life
	}
	h.records = append(h.records, r)
	return r
}

// crashed ends the calls that were under way on a node.
func (h *history) crashed(g *gateway) {
	for _, r := range h.records {
		if r.gateway == g && r.life == g.life && !r.res.done {
			r.res = result{done: true, unknown: true}
			r.ended = h.w.now
			r.drop = r.call.verb == verbRead || r.call.verb == verbList || r.call.verb == verbTags
		}
	}
}

func (h *history) wrote(r *record, res commit.Result) {
	if r.res.done {
		return
	}
	h.w.logf("client %d: %s %s = %d %s since %.4f", r.client, callText(r.call), r.key.Name, res.Kind, res.Code, r.began.Seconds())
	r.res.done, r.ended = true, h.w.now
	switch res.Kind {
	case commit.Acked:
		h.w.count("acknowledged")
	case commit.Doubt:
		h.w.count("unknown to the client")
		r.res.unknown = true
	case commit.Failed:
		if res.Code == "PreconditionFailed" || res.Code == "NoSuchKey" {
			h.w.count("condition failed")
			r.res.refused = true
		} else {
			h.w.count("definitely failed")
			r.drop = true
		}
		if r.call.verb == verbPut && !h.w.again[r.call.etag] {
			h.failed[r.call.etag] = true
			if h.served[r.call.etag] {
				h.w.fail("I8 %s: %s was read, and then reported as failed", r.key.Name, r.call.etag[:6])
			}
		}
	}
}

func (h *history) saw(r *record, a answerRead) {
	if r.res.done {
		return
	}
	h.w.logf("client %d: read %s = %v %.6s since %.4f", r.client, r.key.Name, a.ok, a.etag, r.began.Seconds())
	r.res.done, r.ended = true, h.w.now
	if !a.ok {
		h.w.count("read unavailable")
		r.drop = true
		return
	}
	h.w.count("read")
	r.res.etag = a.etag
	h.served[a.etag] = true
	if h.failed[a.etag] && a.etag != "" {
		h.w.fail("I8 %s: %.6s was read, though its write was reported as failed", r.key.Name, a.etag)
	}
}

func (h *history) listed(r *record, ok, present bool) {
	if r.res.done {
		return
	}
	h.w.logf("client %d: list %s = %v %v since %.4f", r.client, r.key.Name, ok, present, r.began.Seconds())
	r.res.done, r.ended, r.res.present = true, h.w.now, present
	if !ok {
		h.w.count("list unavailable")
		r.drop = true
		return
	}
	h.w.count("list")
}

// condition is the pure function that the protocol judges by.
func (c call) condition() commit.Condition {
	switch {
	case c.ifNone:
		return func(cur object.Info) string {
			if cur.Kind == object.Present {
				return "PreconditionFailed"
			}
			return ""
		}
	case c.ifMatch != "":
		return func(cur object.Info) string {
			switch {
			case cur.Kind != object.Present:
				return "NoSuchKey"
			case cur.ETag != c.ifMatch:
				return "PreconditionFailed"
			}
			return ""
		}
	}
	return nil
}

func (c call) holds(state string) bool {
	switch {
	case c.verb == verbTag:
		return state != ""
	case c.ifNone:
		return state == ""
	case c.ifMatch != "":
		return state == c.ifMatch
	}
	return true
}

// register is the state of a key: the ETag, "" is absence, and the tags.
type register struct{ etag, tags string }

// model is a register per key with conditional writes.
func model(base register) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return base },
		Step: func(state, input, output any) (bool, any) {
			s, c, r := state.(register), input.(call), output.(result)
			next := register{}
			switch c.verb {
			case verbRead:
				return r.etag == s.etag, s
			case verbList:
				return r.present == (s.etag != ""), s
			case verbTags:
				return r.present == (s.etag != "") && r.tags == s.tags, s
			case verbTag:
				next = register{s.etag, c.tags}
			case verbPut:
				next = register{c.etag, c.tags}
			case verbDelete:
			}
			switch {
			case r.refused:
				return !c.holds(s.etag), s
			case r.unknown && !c.holds(s.etag):
				return true, s
			}
			return c.holds(s.etag), next
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v %v", input, output) },
	}
}

// check judges every key's history; an undetermined one is a failure.
func (h *history) check(base map[object.Key]string) {
	for _, key := range h.w.keys {
		var ops []porcupine.Operation
		for _, r := range h.records {
			if r.key != key || r.drop || !r.res.done {
				continue
			}
			end := int64(r.ended)
			if r.res.unknown {
				end = math.MaxInt64
			}
			ops = append(ops, porcupine.Operation{ClientId: r.client, Input: r.call, Output: r.res, Call: int64(r.began), Return: end})
		}
		switch porcupine.CheckOperationsTimeout(model(h.first(key, base)), ops, h.w.patience) {
		case porcupine.Illegal:
			h.blame(h.first(key, base), ops)
			h.w.fail("history of %s is not linearizable (%d operations)", key.Name, len(ops))
		case porcupine.Unknown:
			h.w.fail("history of %s is %w (%d operations)", key.Name, errUndetermined, len(ops))
		}
	}
}

// first is the state of a key before anything happened.
func (h *history) first(key object.Key, base map[object.Key]string) register {
	return register{base[key], h.w.baseTags(key)}
}

// blame traces the operations without any one of which the history would do.
func (h *history) blame(base register, ops []porcupine.Operation) {
	if h.w.trace == nil {
		return
	}
	for i, op := range ops {
		rest := append(append([]porcupine.Operation(nil), ops[:i]...), ops[i+1:]...)
		if porcupine.CheckOperations(model(base), rest) {
			h.w.logf("it would be linearizable without: client %d, %v..%v: %s -> %+v",
				op.ClientId, time.Duration(op.Call), time.Duration(op.Return), callText(op.Input.(call)), op.Output)
		}
	}
}

func callText(c call) string {
	switch {
	case c.verb == verbRead:
		return "read"
	case c.verb == verbList:
		return "list"
	case c.verb == verbTag:
		return "tag " + c.tags
	case c.verb == verbTags:
		return "read tags"
	case c.verb == verbDelete && c.ifMatch != "":
		return fmt.Sprintf("delete if %.6s", c.ifMatch)
	case c.verb == verbDelete:
		return "delete"
	case c.ifNone:
		return "create " + c.etag[:6]
	case c.ifMatch != "":
		return fmt.Sprintf("replace %.6s by %.6s", c.ifMatch, c.etag)
	}
	return "put " + c.etag[:6]
}

func rowText(r *oplog.Row) string {
	if r == nil {
		return "-"
	}
	s := fmt.Sprintf("cur %s %s v%d open=%v good=%v", r.Cur.Kind, short(r.Cur.ID), r.Cur.Ver, r.Open, r.Good)
	if r.Intent != nil {
		s += fmt.Sprintf(" intent{%s %s v%d by %s %v}", r.Intent.Type, short(r.Intent.Op), r.Intent.Ver, r.Intent.Owner, r.Intent.Reps)
	}
	for _, e := range r.Unsettled {
		s += fmt.Sprintf(" unsettled{%s %s v%d %s}", e.Type, short(e.Op), e.Ver, e.Replica)
	}
	for _, f := range r.Refused {
		s += fmt.Sprintf(" refused{%s %s by %s}", f.Code, f.Words, f.Replica)
	}
	if r.Tagged && (len(r.Cur.Tags) > 0 || len(r.Tagging) > 0 || len(r.Mistagged) > 0) {
		s += tagRowText(r)
	}
	for _, d := range r.Done {
		s += fmt.Sprintf(" done{%s v%d}", short(d.ID), d.Ver)
	}
	return s
}
