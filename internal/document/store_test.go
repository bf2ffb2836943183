package document_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/auth/authtest"
	"github.com/s3mirror/s3mirror/internal/document"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/pebble"
)

func TestContractInMemory(t *testing.T) {
	authtest.Run(t, func(*testing.T) authtest.Harness {
		log := memory.NewLog()
		return authtest.Harness{Store: withRoot{document.NewStore(log), log}.make()}
	})
}

func TestContractOnPebble(t *testing.T) {
	authtest.Run(t, func(t *testing.T) authtest.Harness {
		dir := t.TempDir()
		open := func() *pebble.Log {
			log, err := pebble.Open(dir, pebble.Options{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = log.Close() })
			return log
		}
		log := open()
		return authtest.Harness{
			Store: withRoot{document.NewStore(log), log}.make(),
			Reopen: func(t *testing.T) auth.Store {
				if err := log.Close(); err != nil {
					t.Fatal(err)
				}
				return document.NewStore(open())
			},
		}
	})
}

// withRoot is a store over a log that knows root, as every log of a server does.
type withRoot struct {
	*document.Store
	log oplog.Documents
}

func (w withRoot) make() auth.Store {
	doc := oplog.Doc{Kind: oplog.DocUser, Name: auth.RootLogin, Epoch: oplog.NewEpoch(), Body: []byte(`{"login":"root"}`)}
	if err := w.log.SwapDoc(context.Background(), oplog.Epoch{}, doc); err != nil {
		panic(err)
	}
	return w.Store
}

func TestDamagedRecords(t *testing.T) {
	log := memory.NewLog()
	s := document.NewStore(log)
	ctx := t.Context()
	for kind, body := range map[oplog.DocKind]string{oplog.DocUser: `{"tokens":"AAAA"}`, oplog.DocAccessKey: `[]`, oplog.DocSession: `{"tokens":""}`, oplog.DocSigners: `1`} {
		doc := oplog.Doc{Kind: kind, Name: "tokens", Epoch: oplog.NewEpoch(), Body: []byte(body)}
		if err := log.SwapDoc(ctx, oplog.Epoch{}, doc); err != nil {
			t.Fatal(err)
		}
	}
	_, user := s.User(ctx, "tokens")
	_, holder := s.Holder(ctx, "tokens")
	_, session := s.Session(ctx, "tokens")
	_, signers := s.Signers(ctx)
	_, users := s.Users(ctx, "", 10)
	_, sessions := s.Sessions(ctx, "", 10)
	for what, err := range map[string]error{"user": user, "holder": holder, "session": session, "signers": signers, "users": users, "sessions": sessions} {
		if err == nil {
			t.Errorf("a damaged %s was read", what)
		}
	}
}

// TestFaults: a change that the log cannot vouch for is neither done nor a
// conflict.
func TestFaults(t *testing.T) {
	for _, fate := range []memory.LogFate{memory.LogFail, memory.LogFull, memory.LogLose, memory.LogGone, memory.LogLate} {
		log := memory.NewFaultyLog(memory.NewLog(), memory.LogScript(fate))
		u := auth.User{Revision: auth.NewRevision(), Login: "alice", Tokens: auth.NewRevision()}
		err := document.NewStore(log).SwapUser(t.Context(), "alice", auth.Revision{}, &u)
		if err == nil || errors.Is(err, auth.ErrConflict) {
			t.Errorf("%v: got %v", fate, err)
		}
	}
}
