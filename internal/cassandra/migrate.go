package cassandra

import (
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// The schema is what schema/*.cql make, in order of their names. A file that was
// ever released never changes; a change of the schema is another file. Every
// statement can be repeated, so that a migration that was cut off is ended by the
// next. Concurrent changes of a schema can tear a cluster apart: nothing but
// Migrate makes any, under a lock.

//go:embed schema/*.cql
var schemaFiles embed.FS

// step is one file of the schema.
type step struct {
	Name string `json:"name"`
	Sum  string `json:"sha256"`

	statements []string
}

// steps reads the files.
func steps(files fs.FS) ([]step, error) {
	names, err := fs.Glob(files, "schema/*.cql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []step
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		all = append(all, step{
			Name: strings.TrimPrefix(name, "schema/"), Sum: hex.EncodeToString(sum[:]), statements: statements(string(text)),
		})
	}
	return all, nil
}

// statements splits a file at its semicolons; comments take whole lines.
func statements(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			lines = append(lines, line)
		}
	}
	var all []string
	for s := range strings.SplitSeq(strings.Join(lines, ""), ";") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// schemaState is the row that says what was done.
type schemaState struct {
	Steps []step `json:"steps"`
}

// behind returns the steps that are still to be done. An error: what was done is
// not what this program would have done.
func (s schemaState) behind(all []step) ([]step, error) {
	for i, done := range s.Steps {
		if i >= len(all) {
			return nil, fmt.Errorf("it has %d steps, and this program knows %d: it was migrated by a later version", len(s.Steps), len(all))
		}
		if done.Name != all[i].Name || done.Sum != all[i].Sum {
			return nil, fmt.Errorf("its step %d is %s (%.12s), and this program's is %s (%.12s): they are of different versions", i+1, done.Name, done.Sum, all[i].Name, all[i].Sum)
		}
	}
	return all[len(s.Steps):], nil
}

const migrateCommand = "run `s3mirror migrate --config FILE` (or `serve --migrate`)"

// checkSchema wants exactly the schema of this program. ErrSchema.
func (c *cql) checkSchema(ctx context.Context, seen sight) error {
	if seen.replication == nil {
		return fmt.Errorf("%w: there is no keyspace %s yet: %s", ErrSchema, c.keyspace, migrateCommand)
	}
	there, err := c.hasTable(ctx, migrationRows.name)
	if err != nil {
		return err
	}
	if !there {
		return fmt.Errorf("%w: keyspace %s has no tables yet: %s", ErrSchema, c.keyspace, migrateCommand)
	}
	all, err := steps(schemaFiles)
	if err != nil {
		return err
	}
	var state schemaState
	err = onceKnown(ctx, func() (err error) {
		state, _, err = readState(ctx, c)
		return err
	})
	if err != nil {
		return err
	}
	missing, err := state.behind(all)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrSchema, err)
	case len(missing) > 0:
		return fmt.Errorf("%w: it is older, and lacks %s: %s", ErrSchema, missing[0].Name, migrateCommand)
	}
	return nil
}

func (c *cql) hasTable(ctx context.Context, name string) (there bool, err error) {
	err = c.ask(ctx, "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?", func(row gocql.Scanner) error {
		there = true
		var any string
		return row.Scan(&any)
	}, c.keyspace, name)
	return there, err
}

var stateID = rowID{space: "schema", name: "steps"}

// readState reads what was done; a zero epoch: nothing.
func readState(ctx context.Context, s store) (state schemaState, epoch oplog.Epoch, err error) {
	row, ok, err := s.read(ctx, migrationRows, stateID)
	if err != nil || !ok {
		return state, epoch, wrapIf(err, "read the state of the schema")
	}
	if err := json.Unmarshal(row.body, &state); err != nil {
		return state, epoch, fmt.Errorf("%w: its state is damaged: %w", ErrSchema, err)
	}
	return state, row.epoch, nil
}

func wrapIf(err error, act string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", act, err)
}

// schemaTimeout bounds one statement that changes the schema, the wait for all
// nodes to agree included.
const schemaTimeout = 30 * time.Second

// schemaPause is from one try of what a node does not know yet to the next.
const schemaPause = 200 * time.Millisecond

// Migrate makes the keyspace and brings its schema to the one of this program. It
// may be run at any time, by several at once, and again after it was cut off.
// say is told each step. ErrUnreachable, ErrUnsuitable, ErrSchema.
func Migrate(ctx context.Context, o Options, say func(string)) error {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	session, err := connect(o, schemaTimeout)
	if err != nil {
		return err
	}
	c := newCQL(session, o)
	defer c.close()
	seen, err := c.look(ctx)
	if err != nil {
		return err
	}
	if err := seen.judge(o); err != nil {
		return err
	}
	for _, w := range seen.warnings(o) {
		say("warning: " + w)
	}
	all, err := steps(schemaFiles)
	if err != nil {
		return err
	}
	return onceKnown(ctx, func() error {
		if err := c.prepareMigration(ctx, o, seen); err != nil {
			return err
		}
		m := migration{store: c, change: c.changeSchema, all: all, say: say, lock: newLock(c, say)}
		return m.run(ctx)
	})
}

// onceKnown repeats what a node refuses because the keyspace or a table that was
// just made does not exist for it yet. Which nodes know them only gossip tells: the
// node that is asked whether all agree may itself not have heard of the change, and
// of nobody who has. What is refused for another reason fails after schemaTimeout.
func onceKnown(ctx context.Context, do func() error) error {
	for begun := time.Now(); ; {
		err := do()
		if !invalid(err) || time.Since(begun) >= schemaTimeout {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(schemaPause):
		}
	}
}

// invalid tells that a node read the statement and did not find what it names.
func invalid(err error) bool {
	refusal, ok := errors.AsType[gocql.RequestError](err)
	return ok && refusal.Code() == gocql.ErrCodeInvalid
}

// prepareMigration makes the keyspace and the table of the lock. They are made
// without it; two who do so at once make the same, its id included.
//
// That the table is in system_schema does not yet mean that it can be read: a node
// writes that down a moment before it knows the table itself. Whoever cannot read
// it makes it as well: the statement waits for its turn behind the other's.
func (c *cql) prepareMigration(ctx context.Context, o Options, seen sight) error {
	if seen.replication == nil {
		if err := c.changeSchema(ctx, createKeyspace(o)); err != nil {
			return fmt.Errorf("make keyspace %s: %w", o.Keyspace, err)
		}
	}
	if _, _, err := readState(ctx, c); err == nil {
		return c.agree(ctx) // the others may not know it yet
	}
	if err := c.changeSchema(ctx, createMigrationTable(o.Keyspace)); err != nil {
		return fmt.Errorf("make table %s of keyspace %s: %w", migrationRows.name, o.Keyspace, err)
	}
	return nil
}

// createMigrationTable is the statement that makes the table of the lock and of
// what was done. Its id follows from the keyspace: made by two nodes at once with
// ids of their own choice, a table would have two, and Cassandra none of them right.
func createMigrationTable(keyspace string) string {
	return "CREATE TABLE IF NOT EXISTS migration (kind text, name text, epoch blob, mark blob, body blob, PRIMARY KEY ((kind, name)))" +
		" WITH id = " + tableID(keyspace+"."+migrationRows.name)
}

// tableID is a UUID of version 8 (RFC 9562) that follows from a table's name.
func tableID(name string) string {
	sum := sha256.Sum256([]byte("s3mirror " + name))
	id := gocql.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return id.String()
}

// createKeyspace is the statement that makes it.
func createKeyspace(o Options) string {
	copies := o.copies()
	stmt := "CREATE KEYSPACE IF NOT EXISTS " + o.Keyspace + " WITH replication = {'class': 'NetworkTopologyStrategy'"
	for _, dc := range slices.Sorted(maps.Keys(copies)) {
		stmt += fmt.Sprintf(", '%s': %d", strings.ReplaceAll(dc, "'", "''"), copies[dc])
	}
	return stmt + "}"
}

// changeSchema runs a statement that changes the schema and waits until all nodes
// agree.
func (c *cql) changeSchema(ctx context.Context, stmt string) error {
	ctx, cancel := context.WithTimeout(ctx, schemaTimeout)
	defer cancel()
	if !strings.HasPrefix(stmt, "CREATE KEYSPACE") {
		stmt = qualified(stmt, c.keyspace)
	}
	if err := c.session.Query(stmt).RetryPolicy(nil).Consistency(c.levels.quorum).ExecContext(ctx); err != nil {
		return err
	}
	return c.agree(ctx)
}

// agree waits until all nodes have the same schema.
func (c *cql) agree(ctx context.Context) error {
	return wrapIf(c.session.AwaitSchemaAgreement(ctx), "not all nodes have the new schema yet")
}

// qualified names the keyspace in a statement of the schema's files.
func qualified(stmt, keyspace string) string {
	for _, head := range []string{"CREATE TABLE IF NOT EXISTS ", "ALTER TABLE IF EXISTS "} {
		if rest, ok := strings.CutPrefix(stmt, head); ok {
			return head + keyspace + "." + rest
		}
	}
	return stmt // steps are tested to have no other form
}

// migration is one run over the steps.
type migration struct {
	store  store
	change func(ctx context.Context, stmt string) error
	all    []step
	say    func(string)
	lock   *lock
}

// run does what is missing, under the lock.
func (m *migration) run(ctx context.Context) (err error) {
	if err := m.lock.take(ctx); err != nil {
		return fmt.Errorf("lock the schema: %w", err)
	}
	defer func() { err = errors.Join(err, wrapIf(m.lock.release(ctx), "unlock the schema")) }()
	state, epoch, err := readState(ctx, m.store)
	if err != nil {
		return err
	}
	missing, err := state.behind(m.all)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSchema, err)
	}
	if len(missing) == 0 {
		m.say("schema is up to date")
		return nil
	}
	for _, s := range missing {
		m.say("schema: " + s.Name)
		if epoch, err = m.do(ctx, &state, epoch, s); err != nil {
			return fmt.Errorf("step %s: %w", s.Name, err)
		}
	}
	return nil
}

// do does one step and notes that it is done. A note whose outcome is not known
// ends the migration: the next one finds it, or repeats the step.
func (m *migration) do(ctx context.Context, state *schemaState, old oplog.Epoch, s step) (oplog.Epoch, error) {
	for _, stmt := range s.statements {
		if err := m.lock.renew(ctx); err != nil {
			return old, fmt.Errorf("the lock is lost: %w", err)
		}
		if err := m.change(ctx, stmt); err != nil {
			return old, err
		}
	}
	state.Steps = append(state.Steps, s)
	body, err := json.Marshal(state)
	if err != nil {
		return old, err
	}
	epoch := oplog.NewEpoch()
	if old.IsZero() {
		err = verdict(m.store.insert(ctx, migrationRows, stateID, stored{epoch: epoch, mark: epoch, body: body}))
	} else {
		err = verdict(m.store.update(ctx, migrationRows, stateID, old, epoch, body))
	}
	return epoch, err
}
