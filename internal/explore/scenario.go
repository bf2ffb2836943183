package explore

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
)

// Verb is what a client does, once.
type Verb string

// The verbs.
const (
	Put    Verb = "PUT"
	Delete Verb = "DELETE"
	Get    Verb = "GET"
	Head   Verb = "HEAD"
)

// If is a client's condition on the key.
type If string

// The conditions.
const (
	Always  If = ""
	Absent  If = "If-None-Match: *"
	Matches If = "If-Match: base" // the ETag of the object that stood there before
)

// Base is what both replicas hold before anybody comes; there is no row.
type Base uint8

// The bases.
const (
	Nothing Base = iota
	Small        // an object of ours whose stamp is old
	Foreign      // an object without a stamp
)

// Client is one operation of one client, which may come at any time.
type Client struct {
	Do        Verb
	If        If
	Stream    bool   // the body goes out before the intent
	Up        string // the one replica that its gateway thinks is up; all when empty
	Gateway   int
	Restarted bool // not before a gateway has crashed
}

// Faults are how often each may strike on one path, at any point of it.
type Faults struct {
	Crash   int // a gateway: its machines are gone, what it sent is still on its way
	Late    int // a released request stays under way while time passes, up to lateMax
	Cut     int // the same, and its answer is lost: the gateway knows that it will not come
	Hurry   int // time passes though messages are under way that are not late
	Refuse  int // a backend refuses a released request
	Halve   int // a backend stores half of a body, and says so by its ETag
	Unknown int // a compare-and-set's outcome is not known; it may still be applied, late
	Mute    int // a backend or the log does not answer a read
}

// Scenario is a small world: one key, two replicas, a few clients. The gateway
// beyond those of the clients has none, and heals; when it dies the next one does.
type Scenario struct {
	Name         string
	Base         Base
	Ack          int // replicas that the ack rule asks for
	Clients      []Client
	Faults       Faults
	Exclusive    bool            // one process owns the log: gateway 0, and after its crash gateway 1
	Watched      bool            // the healer visits while clients are at work, not only after a crash or the last of them
	StreamHeals  bool            // heals send the body before their intent
	StartOrdered object.Replicas // replicas on which the request that started last stands
	Skew         time.Duration   // of gateway 0's wall clock against the others (A4)
}

// The times of the small world: as short as the protocol allows, so that few
// moments are apart, and in its proportions: settle > lateMax + gap, retention >
// 2 x (settle + lease + 1 s) (RELIABILITY 4.1, R19). A late request lands after
// its intent's lease, and after its owner gave up waiting for the answer.
var times = commit.Times{
	Lease: 3 * time.Second, Margin: time.Second,
	Settle: 8 * time.Second, Gap: 3 * time.Second, Retention: 25 * time.Second,
	Keep: 3 * time.Second, LockWait: 4 * time.Second, Grace: 2 * time.Second, HelpWait: 2 * time.Second,
}

// lateMax is how long after its release a request may land (A3), and how long
// after it was sent a compare-and-set of unknown outcome may be applied.
const lateMax = 4 * time.Second

const bootBase = time.Hour

var wall0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

var replicas = object.NewReplicas("A", "B")

const (
	baseETag = "00000000000000000000000000000099"
	size     = 10 // bytes of every body
)

// before is what each replica shows at the beginning.
func (b Base) before() object.Seen {
	s := object.Seen{Info: object.Info{Kind: object.Present, ETag: baseETag, Size: size}}
	switch b {
	case Small:
		s.ID, s.Flag, s.Uploaded = object.ID{0: 0x99}, object.FlagSmall, wall0.Add(-time.Hour)
	case Nothing:
		return object.Seen{}
	}
	return s
}

func (c Client) condition() commit.Condition {
	switch c.If {
	case Absent:
		return func(cur object.Info) string {
			if cur.Kind == object.Present {
				return "PreconditionFailed"
			}
			return ""
		}
	case Matches:
		return func(cur object.Info) string {
			switch {
			case cur.Kind != object.Present:
				return "NoSuchKey"
			case cur.ETag != baseETag:
				return "PreconditionFailed"
			}
			return ""
		}
	}
	return nil
}

func (c Client) writes() bool { return c.Do == Put || c.Do == Delete }

func (c Client) up() object.Replicas {
	if c.Up == "" {
		return replicas
	}
	return object.NewReplicas(c.Up)
}

// alike tells whether two clients differ in nothing but their gateways, which
// nobody else uses: then the world with both exchanged is the same world.
func (sc *Scenario) alike(i, j int) bool {
	a, b := sc.Clients[i], sc.Clients[j]
	for k, c := range sc.Clients {
		if k != i && k != j && (c.Gateway == a.Gateway || c.Gateway == b.Gateway) {
			return false
		}
	}
	same := a.Gateway == b.Gateway
	if !same && sc.Skew != 0 && (a.Gateway == 0 || b.Gateway == 0) {
		return false
	}
	a.Gateway = b.Gateway
	return a == b
}

// healer is the gateway that visits keys at first: of two that share an exclusive
// log the second one starts when the first has died.
func (sc *Scenario) healer() int {
	if sc.Exclusive {
		return 0
	}
	return sc.gateways() - 1
}

// gateways of the scenario: those of the clients, and one to heal, which a reader
// that comes third uses too: one fewer is one fewer to crash.
func (sc *Scenario) gateways() int {
	n := 0
	for i, c := range sc.Clients {
		if i < 2 || c.writes() {
			n = max(n, c.Gateway+1)
		}
	}
	if sc.Exclusive {
		return 2
	}
	return n + 1
}
