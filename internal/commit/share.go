package commit

import (
	"hash/fnv"
	"slices"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// ShareRecord is the document of one piece of background work, which one node at a
// time does: who has it. It is as good as that node's lease.
type ShareRecord struct {
	Life string `json:"life,omitempty"` // of the node that has it; empty: nobody
}

// ShareDoc is a share's record as it stands in the log; a zero Epoch: there is none.
type ShareDoc struct {
	Name   string
	Epoch  oplog.Epoch
	Record ShareRecord
}

// ShareAct is what a node has to do about a share.
type ShareAct uint8

// Acts.
const (
	ShareLeave ShareAct = iota // nothing
	ShareTake                  // write one's own life into its record, by compare-and-set
	ShareYield                 // begin nothing more of it; once nothing is under way, give it back
	ShareLost                  // begin nothing more of it: the record names another one
)

// JudgeShare tells what a node has to do about a share's record. s must be of a look
// at the nodes that began after the record was read: whoever is missing there has
// died since, or given up. A share goes to whom all nodes that see the same others
// choose alike; the record, and the leases, are what keeps it to one.
func JudgeShare(doc ShareDoc, self NodeDoc, s *MemberStanding) ShareAct {
	life := self.Record.Life
	target := shareOwner(doc.Name, self, s)
	switch holder := doc.Record.Life; {
	case holder == life && target != life:
		return ShareYield
	case holder == life:
		return ShareLeave
	case target != life:
		return ShareLost
	case holder == "" || !holds(NHeld):
		return ShareTake
	default:
		for _, n := range s.Live {
			if n.Record.Life == holder {
				return ShareLost // it will give it back
			}
		}
		return ShareTake
	}
}

// shareOwner is the life of the node that should have a share: of those that serve
// the one whose name, with the share's, hashes highest. When a node comes or goes
// only its own shares move.
func shareOwner(share string, self NodeDoc, s *MemberStanding) string {
	best, life := uint64(0), ""
	for _, n := range append(slices.Clone(s.Live), self) {
		h := fnv.New64a()
		h.Write([]byte(share + "\x00" + n.Name)) //nolint:errcheck // a hash takes everything
		sum := mix(h.Sum64())
		if (life == "" || sum > best) && !n.Record.Joining {
			best, life = sum, n.Record.Life
		}
	}
	return life
}

// mix spreads what FNV leaves alike in names that differ in their last byte.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
