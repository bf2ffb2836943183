package cassandra

import (
	"context"
	"errors"
	"sync"
	"time"
)

// queue lets one conditional statement at a time run on a row, in the order in
// which they came: two of one process on one row would only make each other's
// Paxos rounds fail. Other processes are Paxos's business.
type queue struct {
	wait time.Duration // longest wait for a turn

	mu    sync.Mutex // guards lines
	lines map[string][]chan struct{}
}

var errQueue = errors.New("too many changes of one row are waiting")

func newQueue(wait time.Duration) *queue {
	return &queue{wait: wait, lines: map[string][]chan struct{}{}}
}

// acquire waits for the turn on a row; leave gives it up. The context's error,
// errQueue.
func (q *queue) acquire(ctx context.Context, row string) (leave func(), err error) {
	leave = func() { q.leave(row) }
	q.mu.Lock()
	line, busy := q.lines[row]
	if !busy {
		q.lines[row] = nil
		q.mu.Unlock()
		return leave, nil
	}
	turn := make(chan struct{})
	q.lines[row] = append(line, turn)
	q.mu.Unlock()

	limit := time.NewTimer(q.wait)
	defer limit.Stop()
	select {
	case <-turn:
		return leave, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-limit.C:
		err = errQueue
	}
	if !q.quit(row, turn) {
		leave() // the turn came meanwhile
	}
	return nil, err
}

// leave passes the turn on to the next in the line.
func (q *queue) leave(row string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := q.lines[row]
	if len(line) == 0 {
		delete(q.lines, row)
		return
	}
	q.lines[row] = line[1:]
	close(line[0])
}

// quit takes one who waits out of the line; false: its turn has come already.
func (q *queue) quit(row string, turn chan struct{}) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := q.lines[row]
	for i, t := range line {
		if t == turn {
			q.lines[row] = append(line[:i:i], line[i+1:]...)
			return true
		}
	}
	return false
}
