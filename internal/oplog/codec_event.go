package oplog

import (
	"fmt"

	"github.com/s3mirror/s3mirror/internal/object"
)

// Numbers of the fields of an event, for ever.
const (
	eventTime = iota + 1
	eventSeq
	eventBucket
	eventKey
	eventOp
	eventID
	eventVer
	eventSize
	eventActor
	eventRequest
	eventResult
	eventBackend
	eventDetail
	eventClient
)

// EncodeEvent returns the stored form of a line of history.
func EncodeEvent(ev *Event) []byte {
	e := encoder{buf: append(make([]byte, 0, 192), format)}
	e.time(eventTime, ev.Time)
	e.uint(eventSeq, ev.Seq)
	e.str(eventBucket, ev.Bucket)
	e.str(eventKey, ev.Key)
	e.str(eventOp, ev.Op)
	e.id(eventID, ev.ID)
	e.uint(eventVer, uint64(ev.Ver))
	e.int(eventSize, ev.Size)
	e.str(eventActor, ev.Actor)
	e.str(eventRequest, ev.Request)
	e.str(eventResult, ev.Result)
	encodeMap(&e, eventBackend, ev.Backends)
	e.str(eventDetail, ev.Detail)
	e.str(eventClient, ev.Client)
	return e.buf
}

// DecodeEvent reads what EncodeEvent wrote; it keeps nothing of data.
// ErrBadRecord.
func DecodeEvent(data []byte) (Event, error) {
	if len(data) == 0 || data[0] != format {
		return Event{}, fmt.Errorf("event: %w", ErrBadRecord)
	}
	var ev Event
	d := decoder{rest: string(data[1:])}
	for d.next() {
		switch d.field {
		case eventTime:
			ev.Time = d.time()
		case eventSeq:
			ev.Seq = d.uint()
		case eventBucket:
			ev.Bucket = d.str()
		case eventKey:
			ev.Key = d.str()
		case eventOp:
			ev.Op = d.str()
		case eventID:
			ev.ID = d.id()
		case eventVer:
			ev.Ver = object.Version(d.uint())
		case eventSize:
			ev.Size = d.int()
		case eventActor:
			ev.Actor = d.str()
		case eventRequest:
			ev.Request = d.str()
		case eventResult:
			ev.Result = d.str()
		case eventBackend:
			ev.Backends = decodeEntryOf(&d, ev.Backends)
		case eventDetail:
			ev.Detail = d.str()
		case eventClient:
			ev.Client = d.str()
		}
	}
	if d.bad {
		return Event{}, fmt.Errorf("event: %w", ErrBadRecord)
	}
	return ev, nil
}
