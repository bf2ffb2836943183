package cassandra

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// cql is the store that speaks to Cassandra.
type cql struct {
	session  *gocql.Session
	levels   levels
	keyspace string
	timeout  time.Duration // of one statement, retries of plain ones included
}

// levels are the consistencies of a session. One serial level for all gateways of
// a log: rounds of different levels do not see each other.
type levels struct {
	serial, quorum gocql.Consistency
}

func levelsOf(o Options) levels {
	if o.LocalSerial {
		return levels{gocql.LocalSerial, gocql.LocalQuorum}
	}
	return levels{gocql.Serial, gocql.Quorum}
}

// conditional makes a query one that the driver sends once, whatever becomes of
// it.
func (l levels) conditional(q *gocql.Query) *gocql.Query {
	return q.Idempotent(false).RetryPolicy(nil).Consistency(l.quorum).SerialConsistency(l.serial)
}

// plain makes a query one that the driver may send to another node when it fails.
func (l levels) plain(q *gocql.Query) *gocql.Query {
	return q.Idempotent(true).RetryPolicy(oneMore{}).Consistency(l.quorum)
}

// oneMore tries a plain statement once more, on the next node.
type oneMore struct{}

func (oneMore) Attempt(q gocql.RetryableQuery) bool { return q.Attempts() <= 1 }
func (oneMore) GetRetryType(error) gocql.RetryType  { return gocql.RetryNextHost }

func (c *cql) table(name string) string { return c.keyspace + "." + name }

func (c *cql) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.timeout)
}

// blob is a string as a value of a statement: never null.
func blob(s string) []byte { return []byte(s) }

func blobs(k key) []any {
	out := make([]any, len(k))
	for i, v := range k {
		if s, ok := v.(string); ok {
			v = blob(s)
		}
		out[i] = v
	}
	return out
}

func (c *cql) where(t *rowTable) string {
	return " WHERE " + t.partition[0] + " = ? AND " + t.partition[1] + " = ?"
}

func (c *cql) read(ctx context.Context, t *rowTable, id rowID) (stored, bool, error) {
	return c.row(ctx, t, id, c.levels.serial)
}

func (c *cql) glance(ctx context.Context, t *rowTable, id rowID) (stored, bool, error) {
	return c.row(ctx, t, id, c.levels.quorum)
}

func (c *cql) row(ctx context.Context, t *rowTable, id rowID, level gocql.Consistency) (row stored, ok bool, err error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	q := c.session.Query("SELECT epoch, mark, body FROM "+c.table(t.name)+c.where(t), blob(id.space), blob(id.name))
	var epoch, mark []byte
	err = c.levels.plain(q).Consistency(level).ScanContext(ctx, &epoch, &mark, &row.body)
	if errors.Is(err, gocql.ErrNotFound) {
		return stored{}, false, nil
	}
	if err == nil && (len(epoch) != len(row.epoch) || len(mark) != len(row.mark)) {
		err = oplog.ErrBadRecord
	}
	if err != nil {
		return stored{}, false, err
	}
	copy(row.epoch[:], epoch)
	copy(row.mark[:], mark)
	return row, true, nil
}

func (c *cql) insert(ctx context.Context, t *rowTable, id rowID, row stored) (bool, error) {
	stmt := "INSERT INTO " + c.table(t.name) + " (" + t.partition[0] + ", " + t.partition[1] + ", epoch, mark, body) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS"
	return c.cas(ctx, stmt, blob(id.space), blob(id.name), row.epoch[:], row.mark[:], row.body)
}

func (c *cql) update(ctx context.Context, t *rowTable, id rowID, old, epoch oplog.Epoch, body []byte) (bool, error) {
	stmt := "UPDATE " + c.table(t.name) + " SET epoch = ?, body = ?" + c.where(t) + " IF epoch = ?"
	return c.cas(ctx, stmt, epoch[:], body, blob(id.space), blob(id.name), old[:])
}

func (c *cql) remove(ctx context.Context, t *rowTable, id rowID, old oplog.Epoch) (bool, error) {
	stmt := "DELETE FROM " + c.table(t.name) + c.where(t) + " IF epoch = ?"
	return c.cas(ctx, stmt, blob(id.space), blob(id.name), old[:])
}

// cas runs a conditional statement, once.
func (c *cql) cas(ctx context.Context, stmt string, values ...any) (applied bool, err error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	applied, err = c.levels.conditional(c.session.Query(stmt, values...)).MapScanCASContext(ctx, map[string]any{})
	return applied && err == nil, outcome(err)
}

// equals is the condition that names a partition, or a record's columns.
func equals(columns ...[]column) string {
	var parts []string
	for _, list := range columns {
		for _, c := range list {
			parts = append(parts, c.name+" = ?")
		}
	}
	return " WHERE " + strings.Join(parts, " AND ")
}

func names(columns []column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.name
	}
	return strings.Join(list, ", ")
}

func marksOf(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

func (c *cql) put(ctx context.Context, t *recordTable, partition, name key, body []byte) error {
	columns := names(t.partition) + ", " + names(t.cluster)
	values := append(blobs(partition), blobs(name)...)
	if t.body {
		columns += ", body"
		values = append(values, body)
	}
	return c.exec(ctx, "INSERT INTO "+c.table(t.name)+" ("+columns+") VALUES ("+marksOf(len(values))+")", values...)
}

func (c *cql) erase(ctx context.Context, t *recordTable, partition, name key) error {
	return c.exec(ctx, "DELETE FROM "+c.table(t.name)+equals(t.partition, t.cluster), append(blobs(partition), blobs(name)...)...)
}

func (c *cql) drop(ctx context.Context, t *recordTable, partition key) error {
	return c.exec(ctx, "DELETE FROM "+c.table(t.name)+equals(t.partition), blobs(partition)...)
}

func (c *cql) exec(ctx context.Context, stmt string, values ...any) error {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	return c.levels.plain(c.session.Query(stmt, values...)).ExecContext(ctx)
}

// pageSize is how many records the driver fetches at a time.
const pageSize = 1000

func (c *cql) scan(ctx context.Context, t *recordTable, partition key, s span) ([]record, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	columns := names(t.cluster)
	if t.body {
		columns += ", body"
	}
	stmt := "SELECT " + columns + " FROM " + c.table(t.name) + equals(t.partition)
	values := blobs(partition)
	for _, b := range []struct {
		bound key
		is    string
	}{{s.from, ">="}, {s.to, "<"}} {
		if n := len(b.bound); n > 0 {
			stmt += " AND (" + names(t.cluster[:n]) + ") " + b.is + " (" + marksOf(n) + ")"
			values = append(values, blobs(b.bound)...)
		}
	}
	if s.last != t.descends {
		order := " ASC"
		if s.last {
			order = " DESC"
		}
		stmt += " ORDER BY " + t.cluster[0].name + order
	}
	if s.limit > 0 {
		stmt += " LIMIT ?"
		values = append(values, s.limit)
	}
	rows := c.levels.plain(c.session.Query(stmt, values...)).PageSize(pageSize).IterContext(ctx).Scanner()
	var found []record
	for rows.Next() {
		r, err := scanRecord(t, rows)
		if err != nil {
			return nil, errors.Join(err, rows.Err())
		}
		found = append(found, r)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return found, nil
}

func scanRecord(t *recordTable, rows gocql.Scanner) (record, error) {
	r := record{name: make(key, len(t.cluster))}
	texts, numbers := make([][]byte, len(t.cluster)), make([]int64, len(t.cluster))
	var dest []any
	for i, c := range t.cluster {
		if c.number {
			dest = append(dest, &numbers[i])
		} else {
			dest = append(dest, &texts[i])
		}
	}
	if t.body {
		dest = append(dest, &r.body)
	}
	if err := rows.Scan(dest...); err != nil {
		return record{}, fmt.Errorf("record of %s: %w", t.name, err)
	}
	for i, c := range t.cluster {
		if c.number {
			r.name[i] = numbers[i]
		} else {
			r.name[i] = string(texts[i])
		}
	}
	return r, nil
}

func (c *cql) count(ctx context.Context, t *recordTable, partition key) (n int64, err error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	q := c.session.Query("SELECT COUNT(*) FROM "+c.table(t.name)+equals(t.partition), blobs(partition)...)
	err = c.levels.plain(q).ScanContext(ctx, &n)
	return n, err
}

func (c *cql) close() { c.session.Close() }
