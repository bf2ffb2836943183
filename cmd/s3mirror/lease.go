package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// lease is this node's document in a log that others may use too. Its epoch moves
// while the node lives: whoever sees the same one for a whole lease, on his own
// clock, may take the node for dead (RELIABILITY H30). The protocol of the keys
// does not rest on it.
//
// Several nodes on one log are not built yet: a node that sees another one live
// does not serve, and one that was taken for dead, and finds its document gone,
// ends.
type lease struct {
	log    oplog.Documents
	name   string
	length time.Duration
	logger *slog.Logger

	started time.Time
	mine    []oplog.Epoch // that the document may have; more than one while an outcome is not known
}

var (
	errOtherNode = errors.New("another node serves on this log, and several are not built yet: stop it, or give this one a keyspace of its own")
	errTakenOver = errors.New("this node was taken for dead and another one serves on the log")
)

func newLease(log oplog.Documents, name string, length time.Duration, logger *slog.Logger) *lease {
	return &lease{log: log, name: name, length: length, logger: logger, started: time.Now().UTC().Truncate(time.Second)}
}

// take makes the document this node's and returns once every other node was dead
// for a whole lease. That takes no time when there is none. errOtherNode.
func (l *lease) take(ctx context.Context) error {
	if err := l.begin(ctx); err != nil {
		return fmt.Errorf("register this node: %w", err)
	}
	others, err := l.others(ctx)
	if err != nil {
		return err
	}
	since := time.Now()
	for len(others) > 0 && time.Since(since) < l.length {
		if !pause(ctx, l.length/5) {
			return ctx.Err()
		}
		if err := l.renew(ctx); err != nil { // others who begin now must see us
			return fmt.Errorf("register this node: %w", err)
		}
		now, err := l.others(ctx)
		if err != nil {
			return err
		}
		for name, epoch := range now {
			if others[name] != epoch {
				return fmt.Errorf("%w (%s)", errOtherNode, name)
			}
		}
		others = now
	}
	for name, epoch := range others {
		l.logger.InfoContext(ctx, "node is dead", "node", name)
		if err := l.log.SwapDoc(ctx, epoch, oplog.Doc{Kind: oplog.DocNode, Name: name}); err != nil {
			return fmt.Errorf("remove the dead node %s: %w", name, err)
		}
	}
	return nil
}

// begin replaces what an earlier process of this node left. The data folder's lock
// says that it is over.
func (l *lease) begin(ctx context.Context) (err error) {
	for range 5 {
		doc, err := l.log.Doc(ctx, oplog.DocNode, l.name)
		if err != nil && !errors.Is(err, oplog.ErrNoRow) {
			return err
		}
		if err = l.move(ctx, doc.Epoch); err == nil {
			return nil
		}
		if !errors.Is(err, oplog.ErrConflict) && !errors.Is(err, oplog.ErrUnknown) {
			return err
		}
		l.logger.DebugContext(ctx, "node could not be registered yet", "error", err)
	}
	return errors.New("its document keeps changing, or the log does not say whether it did")
}

// move changes the epoch of the document.
func (l *lease) move(ctx context.Context, old oplog.Epoch) error {
	body, err := json.Marshal(map[string]any{"started": l.started})
	if err != nil {
		return err
	}
	doc := oplog.Doc{Kind: oplog.DocNode, Name: l.name, Epoch: oplog.NewEpoch(), Body: body}
	l.mine = append(l.mine, doc.Epoch)
	if err := l.log.SwapDoc(ctx, old, doc); err != nil {
		return err
	}
	l.mine = []oplog.Epoch{doc.Epoch}
	return nil
}

// others are the documents of all other nodes.
func (l *lease) others(ctx context.Context) (map[string]oplog.Epoch, error) {
	docs, err := l.log.Docs(ctx, oplog.DocNode, "", 1000)
	if err != nil {
		return nil, fmt.Errorf("look for other nodes: %w", err)
	}
	all := map[string]oplog.Epoch{}
	for _, d := range docs {
		if d.Name != l.name {
			all[d.Name] = d.Epoch
		}
	}
	return all, nil
}

// renew proves that the node lives. errTakenOver.
func (l *lease) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.length)
	defer cancel()
	doc, err := l.log.Doc(ctx, oplog.DocNode, l.name)
	switch {
	case errors.Is(err, oplog.ErrNoRow), err == nil && !slices.Contains(l.mine, doc.Epoch):
		return errTakenOver
	case err != nil:
		return err
	}
	return l.move(ctx, doc.Epoch)
}

// run renews until ctx is done; it ends with an error when another node took the
// log over. That the log does not answer is no end: nobody else can take it over
// then.
func (l *lease) run(ctx context.Context) error {
	for failed := false; pause(ctx, l.length/3); {
		err := l.renew(ctx)
		if errors.Is(err, errTakenOver) {
			return err
		}
		if err != nil && !failed && ctx.Err() == nil {
			l.logger.WarnContext(ctx, "log does not take this node's sign of life", "error", err)
		}
		failed = err != nil
	}
	return nil
}

// release takes the document away, so that the next node needs not wait. Nothing
// may renew any more.
func (l *lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.length)
	defer cancel()
	doc, err := l.log.Doc(ctx, oplog.DocNode, l.name)
	if err == nil && slices.Contains(l.mine, doc.Epoch) {
		err = l.log.SwapDoc(ctx, doc.Epoch, oplog.Doc{Kind: oplog.DocNode, Name: l.name})
	}
	if err != nil && !errors.Is(err, oplog.ErrNoRow) {
		l.logger.DebugContext(ctx, "node's document stays in the log", "error", err)
	}
}

// pause waits; false: ctx was done first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
