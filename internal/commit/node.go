package commit

import (
	"maps"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// NodeRecord is the document by which a node is known to those that share the log
// with it. Its epoch moves while the node lives.
type NodeRecord struct {
	Life    string           `json:"life"`              // this start of it: the owner of its intents
	Home    string           `json:"home,omitempty"`    // where it keeps what is its own, which one process at a time has
	Address string           `json:"address,omitempty"` // of its admin API
	Version string           `json:"version,omitempty"` // of the program
	Codecs  Codecs           `json:"codecs"`            // of rows
	Started time.Time        `json:"started"`           // on its own clock
	Clock   time.Time        `json:"clock"`             // its own clock, right before the record was written
	Joining bool             `json:"joining,omitempty"` // it does not serve yet
	Config  uint64           `json:"config"`            // revision of the settings that is in force on it
	Hints   [][2][]byte      `json:"hints,omitempty"`   // bucket and name of keys that whose share they are should look at
	Met     map[string]int64 `json:"met,omitempty"`     // by life of the others that it knows: milliseconds that their clock is ahead of its own, at least
}

// Codecs are the versions of the row's form that a node reads: all from Oldest to
// Newest.
type Codecs struct {
	Oldest int `json:"oldest"`
	Newest int `json:"newest"`
}

// NodeDoc is a node's record as it stands in the log.
type NodeDoc struct {
	Name   string
	Epoch  oplog.Epoch
	Record NodeRecord
	Apart  time.Duration // in a standing: by how much its clock and this node's differ, at least
}

// Skew is the most by which the clocks of two nodes may differ (A4).
const Skew = time.Second

// skewKept is how long, at least, a measured difference of two clocks is held
// against them; it is at most twice as long, or until a look shows that they are
// near enough again, if it was too much.
const skewKept = 10 * time.Second

// The events of a Member.
type (
	// NodesRead answers ReadNodes: the records of all nodes, one's own included.
	NodesRead struct {
		Nodes  []NodeDoc
		Failed bool
	}
	// SettingsRead answers ReadSettings: the revision that is in force here now.
	SettingsRead struct {
		Revision uint64
		Format   int // of rows that may stand in the log; 0: 1
		Failed   bool
		Hints    [][2][]byte // to be told to the others
	}
	// NodeSwapped answers WriteNode.
	NodeSwapped struct {
		Outcome CAS
		Epoch   oplog.Epoch // of the record that was written
	}
	// Quit says that this node ends: its record goes.
	Quit struct{}
)

// The effects of a Member.
type (
	// ReadNodes asks for a linearizable read of all nodes' records.
	ReadNodes struct{}
	// ReadSettings asks to read the settings and to put them in force: whatever
	// begins after the answer has them.
	ReadSettings struct{}
	// WriteNode asks for one compare-and-set of a node's record; nil drops it. The
	// shell draws the epoch. One's own is answered, others' are not.
	WriteNode struct {
		Name   string
		Old    oplog.Epoch
		Record *NodeRecord
	}
	// Standing tells how this node stands, each time when that has changed.
	Standing struct{ Standing MemberStanding }
)

func (NodesRead) event()     {}
func (SettingsRead) event()  {}
func (NodeSwapped) event()   {}
func (Quit) event()          {}
func (ReadNodes) effect()    {}
func (ReadSettings) effect() {}
func (WriteNode) effect()    {}
func (Standing) effect()     {}

// MemberStanding is how a node stands among those that share the log.
type MemberStanding struct {
	// Until is the Boot until which this node's lease lasts; past or zero: it has
	// none, and must not release anything.
	Until time.Duration
	// Fault says why the node does not serve, besides a lease that ran out; empty: nothing.
	Fault string
	// Apart is the most by which another node's clock and this one's differ, at least,
	// and From says whose.
	Apart time.Duration
	From  string
	// Live are the records of the other nodes that are not dead.
	Live []NodeDoc
	// Looked is the Boot at which the look began that Live is of.
	Looked time.Duration
}

// Faults of a member.
const (
	FaultTaken  = "another process serves under this node's name: its data folder was copied"
	FaultClocks = "its clock and another node's are more than a second apart"
	FaultCodecs = "another node cannot read the rows that this one writes, or the other way round"
)

// Acked tells whether a change of the settings is in force on every node: each that
// lives has acknowledged its revision, or its lease has ended. The look must have
// begun after the change stood in the log. Nodes that are joining are waited for
// too: they may have read the settings before.
func (s *MemberStanding) Acked(revision uint64) bool {
	for _, n := range s.Live {
		if n.Record.Config < revision && holds(NAcked) {
			return false
		}
	}
	return true
}

// Format is the newest format of rows that this node, which reads codecs, and all others
// that live read: what may be written once the settings say so and are acknowledged.
func (s *MemberStanding) Format(codecs Codecs) int {
	newest := codecs.Newest
	for _, n := range s.Live {
		if holds(NFormat) {
			newest = min(newest, n.Record.Codecs.Newest)
		}
	}
	return newest
}

// MemberOptions say who the node is.
type MemberOptions struct {
	Name   string
	Record NodeRecord // Life, Home, Address, Version, Codecs, Started
	Times  Times
	Beat   time.Duration // between two looks when nothing is new
}

// Member keeps one node's place among those that share a log: its lease, what it
// acknowledges, whose clocks it may trust, who lives. Each beat it looks at the
// records of all nodes, reads the settings, and writes its own record when that has
// something new to say or the lease wants it.
//
// A lease is a claim on the node's own clock: it counts from the moment before the
// record was sent, and another node takes this one for dead only after it has seen
// the same record for a whole lease on *its* clock, in a look that began after that
// (H30). Between the two nobody's clock matters. While the lease lasts, what the
// record acknowledges is in force here; so a change of the settings that every live
// node has acknowledged is obeyed by all, and by a node that was dead too, because
// without a lease it releases nothing, and it gets none before it has read the
// settings again.
//
// What the protocol of the keys promises does not rest on it.
type Member struct {
	o     MemberOptions
	state memberState

	known  map[string]*peer // the others, by name
	before *peer            // who had this node's name before, elsewhere
	stood  bool             // one's own record was written, and nobody has dropped it
	failed bool             // it could not be written the last time, as far as is known
	epoch  oplog.Epoch      // of it as it was last seen; zero: there is none
	taken  bool             // another process has the name

	began  time.Duration // when the look under way began
	looked time.Duration // when the last whole look began
	sent   time.Duration // when the record under way was sent
	draft  NodeRecord    // that record
	stands NodeRecord    // the record that stands
	claim  time.Duration // nobody takes this node for dead before
	chain  uint64        // how often the claim had run out when it was renewed
	asked  uint64        // chain when the settings were asked for
	read   uint64        // chain when the settings were asked for that are in force
	config uint64        // their revision
	format int           // of rows that may stand in the log, as they say
	joined bool          // it has met all others once since it registered
	quit   bool
	stand  MemberStanding
}

type memberState uint8

const (
	mNodes memberState = iota
	mSettings
	mSwap
	mSleep
	mOver
)

// peer is another node.
type peer struct {
	epoch oplog.Epoch
	since time.Duration // Boot when its record was first seen as it is
	rec   NodeRecord
	ahead [2]time.Duration // of its clock, at least: in this window, and in the one before
	open  time.Duration    // Boot at which this window began
	near  bool             // a look in this window showed that its clock is at most Skew ahead
}

// NewMember makes a machine. Begin is its first event; it is over after Quit.
func NewMember(o MemberOptions) *Member { return &Member{o: o, known: map[string]*peer{}} }

// Over tells that the machine wants no more events.
func (m *Member) Over() bool { return m.state == mOver }

// Step takes one event and returns what is to be done, in order.
func (m *Member) Step(now Now, ev Event) []Effect {
	switch ev := ev.(type) {
	case Begin:
		return m.look(now)
	case Fired:
		if m.state == mSleep {
			return m.look(now)
		}
	case NodesRead:
		if m.state == mNodes {
			return m.goOn(m.nodes(now, ev))
		}
	case SettingsRead:
		if m.state == mSettings {
			return m.goOn(m.settings(now, ev))
		}
	case NodeSwapped:
		if m.state == mSwap {
			return m.goOn(m.swapped(now, ev))
		}
	case Quit:
		m.quit = true
		if m.state == mSleep {
			return m.goOn(nil)
		}
	}
	return nil
}

// goOn tells how the node stands, before anything else is done about it.
func (m *Member) goOn(next []Effect) []Effect {
	if m.quit { // what would have followed is not done any more
		next = m.leave()
	}
	return append([]Effect{Standing{m.stand}}, next...)
}

// leave takes the node's record away. Nobody waits for it then.
func (m *Member) leave() []Effect {
	m.state = mOver
	m.stand.Until = 0
	if m.epoch.IsZero() || m.taken {
		return nil
	}
	return []Effect{WriteNode{m.o.Name, m.epoch, nil}}
}

func (m *Member) look(now Now) []Effect {
	m.state, m.began = mNodes, now.Boot
	return []Effect{ReadNodes{}}
}

func (m *Member) sleep(d time.Duration) []Effect {
	m.state = mSleep
	return []Effect{Sleep{TimerWait, d}}
}

// again looks again soon: something failed, or is waited for.
func (m *Member) again() []Effect { return m.sleep(m.o.Beat / 8) }

// nodes takes in what the log shows of all nodes.
func (m *Member) nodes(now Now, ev NodesRead) []Effect {
	if ev.Failed {
		return m.again()
	}
	since := now.Boot - m.looked // since the last whole look began
	m.looked = m.began
	there := map[string]bool{}
	own := NodeDoc{}
	for _, doc := range ev.Nodes {
		there[doc.Name] = true
		if doc.Name == m.o.Name {
			own = doc
			continue
		}
		if m.known[doc.Name] == nil {
			m.known[doc.Name] = &peer{open: now.Boot}
		}
		m.known[doc.Name].saw(now, doc, since)
	}
	maps.DeleteFunc(m.known, func(name string, _ *peer) bool { return !there[name] })
	wait := m.recognise(now, own)
	out := m.bury()
	m.judge()
	switch {
	case m.taken:
		return append(out, m.sleep(m.o.Beat)...)
	case wait:
		return append(out, m.again()...)
	}
	m.state, m.asked = mSettings, m.chain
	return append(out, ReadSettings{})
}

// saw takes in a look at a peer, which began so long after the one before. That its record
// is new and names a later time than it is here shows that its clock is ahead by that much
// at least; that it names an earlier one shows nothing. It was written after the last look,
// so its clock is ahead at most by what it names and that look had not seen. The two are a
// beat apart, and of clocks that are little more than Skew apart only few looks show it:
// such a difference is held until one shows the opposite, else they would serve and refuse
// in turns. (A record that was on its way for long may show the opposite too early.)
func (p *peer) saw(now Now, doc NodeDoc, since time.Duration) {
	met := p.rec.Life == doc.Record.Life
	if !met {
		*p = peer{open: now.Boot}
	}
	if now.Boot-p.open > skewKept {
		kept := p.ahead[0]
		if held := max(kept, p.ahead[1]); held > Skew && !p.near {
			kept = held
		}
		p.ahead, p.open, p.near = [2]time.Duration{0, kept}, now.Boot, false
	}
	if p.epoch == doc.Epoch {
		return
	}
	p.epoch, p.since, p.rec = doc.Epoch, now.Boot, doc.Record
	ahead := doc.Record.Clock.Sub(now.Wall)
	p.ahead[0] = max(p.ahead[0], ahead)
	p.near = p.near || met && ahead+since <= Skew
}

// recognise finds this node's own record, and tells whether it must wait: the name
// was another process's, which may still live.
func (m *Member) recognise(now Now, own NodeDoc) (wait bool) {
	m.epoch = own.Epoch
	switch {
	case own.Epoch.IsZero(): // the first time, or it was taken for dead
		m.joined = m.joined && !m.stood
		m.stood = false
	case own.Record.Life == m.o.Record.Life: // whichever of its writes that was
	case own.Record.Home == m.o.Record.Home: // of an earlier life: the data folder has one process, and that is this one
		m.joined = m.joined && !m.stood
		m.stood = false
	case m.stood:
		m.taken, m.stand.Until = true, 0
	case m.before == nil:
		m.before = &peer{epoch: own.Epoch, since: now.Boot}
		return true
	case m.before.epoch != own.Epoch:
		m.taken = true
	default:
		return !m.dead(m.before)
	}
	return false
}

// dead tells whether a node's record has stood still for a whole lease, in a look
// that began after it.
func (m *Member) dead(p *peer) bool {
	return m.looked-p.since >= m.o.Times.Lease || !holds(NStill) && m.looked-p.since >= m.o.Times.Lease/4
}

// bury drops the records of the dead. They will find that out.
func (m *Member) bury() (out []Effect) {
	for _, name := range slices.Sorted(maps.Keys(m.known)) {
		if p := m.known[name]; m.dead(p) {
			out = append(out, WriteNode{name, p.epoch, nil})
		}
	}
	return out
}

// judge says who lives, and whether this node may serve beside them.
func (m *Member) judge() {
	s := MemberStanding{Until: m.stand.Until, Looked: m.looked}
	if m.taken {
		s.Fault = FaultTaken
	}
	for _, name := range slices.Sorted(maps.Keys(m.known)) {
		p := m.known[name]
		if m.dead(p) {
			continue
		}
		here, there := max(p.ahead[0], p.ahead[1]), time.Duration(p.rec.Met[m.o.Record.Life])*time.Millisecond
		apart := max(here, there)
		s.Live = append(s.Live, NodeDoc{name, p.epoch, p.rec, apart})
		if p.rec.Joining && m.joined {
			continue // who joins is the one to refuse
		}
		if apart > s.Apart {
			s.Apart, s.From = apart, name
		}
		if mine := m.o.Record.Codecs; p.rec.Codecs.Newest < mine.Oldest || mine.Newest < p.rec.Codecs.Oldest {
			s.Fault = FaultCodecs
		}
	}
	if m.format > m.o.Record.Codecs.Newest {
		s.Fault = FaultCodecs
	}
	if s.Apart > Skew {
		s.Fault = FaultClocks
	}
	m.stand = s
}

// settings notes what is in force here, and writes the record if it has something
// new to say. Nothing is claimed on settings that could not be read.
func (m *Member) settings(now Now, ev SettingsRead) []Effect {
	if ev.Failed {
		return m.again()
	}
	m.config, m.read = ev.Revision, m.asked
	if m.format = ev.Format; m.format > m.o.Record.Codecs.Newest {
		m.stand.Fault = FaultCodecs // rows may stand there that this version cannot read
		return m.again()
	}
	m.joined = m.joined || m.stood && m.met()
	next := m.o.Record
	next.Clock, next.Joining, next.Config, next.Hints, next.Met = now.Wall, !m.joined, m.config, ev.Hints, map[string]int64{}
	for _, n := range m.stand.Live {
		p := m.known[n.Name]
		next.Met[n.Record.Life] = max(p.ahead[0], p.ahead[1]).Milliseconds()
	}
	if !m.news(now, next) {
		return m.rest()
	}
	m.state, m.draft, m.sent = mSwap, next, now.Boot
	return []Effect{WriteNode{m.o.Name, m.epoch, &next}}
}

// met tells whether every node that lives has compared its clock with this one's, and
// this one would refuse to serve beside none of them.
func (m *Member) met() bool {
	for _, n := range m.stand.Live {
		if _, ok := n.Record.Met[m.o.Record.Life]; !ok {
			return false
		}
	}
	return m.stand.Fault == ""
}

// news tells whether the record must be written.
func (m *Member) news(now Now, next NodeRecord) bool {
	old := m.stands
	if !m.stood || m.failed || len(next.Hints) > 0 || now.Boot >= m.stand.Until || next.Joining != old.Joining || next.Config != old.Config {
		return true
	}
	for life, ahead := range next.Met {
		before, known := old.Met[life]
		if !known || (ahead > Skew.Milliseconds()) != (before > Skew.Milliseconds()) {
			return true
		}
	}
	return now.Boot-m.sent >= (m.o.Times.Lease-m.o.Times.Margin)/3
}

// rest pauses for a beat, or less when somebody is waited for.
func (m *Member) rest() []Effect {
	if !m.joined || m.stand.Until == 0 {
		return m.again()
	}
	return m.sleep(m.o.Beat)
}

// swapped learns what became of this node's own record.
func (m *Member) swapped(now Now, ev NodeSwapped) []Effect {
	m.failed = ev.Outcome != Applied // what is not known is settled by the next write (R29)
	if m.failed {
		return m.again()
	}
	m.epoch, m.stood, m.stands = ev.Epoch, true, m.draft
	if now.Boot > m.claim {
		m.chain++ // somebody may have taken this node for dead meanwhile: what was read before is old
	}
	m.claim = m.sent + m.o.Times.Lease
	if (m.read == m.chain || !holds(NFresh)) && !m.draft.Joining {
		m.stand.Until = m.claim
	}
	return m.rest()
}
