package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
)

func newStatus(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show whether the replicas are equal, and each backend",
		Long: `Show whether the replicas are equal, and each backend.

With --wait-converged it returns as soon as nothing lags or is unsettled, or
exits 3 when that does not come true in time. With --check it exits 3 unless
that holds and no backend is down or degraded.`,
		Args: noArgs,
	}
	var flags clientFlags
	flags.register(cmd)
	check := cmd.Flags().Bool("check", false, "exit 3 when not converged or a backend is not healthy")
	limit := cmd.Flags().Duration("wait-converged", 0, "wait so long for convergence, as in 60s")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := flags.client(env)
		if err != nil {
			return err
		}
		if *limit < 0 {
			return usageError{errors.New("--wait-converged: want a time span of 0 or more")}
		}
		var verdict error
		var status admin.Status
		if cmd.Flags().Changed("wait-converged") {
			status, verdict = waitConverged(cmd.Context(), client, *limit)
		} else {
			status, verdict = client.Status(cmd.Context())
		}
		if verdict != nil && !errors.Is(verdict, errNotConverged) {
			return explain(client, verdict)
		}
		if *check && verdict == nil {
			verdict = unhealthy(status)
		}
		if status.Version == "" {
			return verdict // nothing was ever answered
		}
		if err := printStatus(newPrinter(std, env), flags.output, status); err != nil {
			return err
		}
		return verdict
	}
	return cmd
}

// unhealthy says what a check of the status finds wrong.
func unhealthy(s admin.Status) error {
	if !s.Converged {
		return errNotConverged
	}
	for _, b := range s.Backends {
		if b.State != admin.Up && b.State != admin.Paused {
			return fmt.Errorf("backend %s is %s: %w", b.Name, b.State, errNotHealthy)
		}
	}
	return nil
}

// statusSource is the part of the client that waiting needs.
type statusSource interface {
	Status(ctx context.Context) (admin.Status, error)
}

// pollEvery is the pause between two looks at the status.
const pollEvery = 500 * time.Millisecond

// waitConverged asks until the node is converged or the limit is over; then it
// returns errNotConverged and the last status that was got. A server that does
// not answer may be starting: only a refusal (4xx) ends the wait at once.
func waitConverged(ctx context.Context, src statusSource, limit time.Duration) (admin.Status, error) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var last admin.Status
	for {
		status, err := src.Status(ctx)
		var refused *admin.Problem
		switch {
		case err == nil && status.Converged:
			return status, nil
		case err == nil:
			last = status
		case errors.As(err, &refused) && refused.Status < 500:
			return last, err
		case ctx.Err() != nil:
			return last, ctx.Err()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return last, ctx.Err()
		case <-deadline.C:
			if err != nil {
				return last, fmt.Errorf("%w after %s: %w", errNotConverged, limit, err)
			}
			return last, fmt.Errorf("%w after %s", errNotConverged, limit)
		}
	}
}

// printStatus shows the status as a table or as the document itself.
func printStatus(p *printer, output string, s admin.Status) error {
	if output == "json" {
		return writeDocument(p.out, s)
	}
	verdict := p.good("converged")
	if !s.Converged {
		verdict = p.bad("not converged")
	}
	p.line("%s %s: %s", s.Node, s.Version, verdict)
	p.line("lagging %s; unsettled %s, in flight %s, refused %s",
		backlog(s.Lagging), keys(s.Unsettled.Keys), keys(s.InFlight.Keys), keys(s.Refused.Keys))
	p.line("")
	rows := make([][]any, len(s.Backends))
	for i, b := range s.Backends {
		rows[i] = []any{b.Name, p.state(b.State), b.LaggingKeys, size(b.LaggingBytes), age(b.OldestSeconds), p.ago(b.LastSuccess), b.Reason}
	}
	p.table([]any{"Backend", "State", "Lagging", "Bytes", "Oldest", "Last success", ""}, rows)
	if len(s.Nodes) > 0 {
		p.line("")
		rows = nil
		for _, n := range s.Nodes {
			rows = append(rows, []any{n.Name, p.nodeState(n), n.Version, p.ago(&n.Started), n.Address})
		}
		p.table([]any{"Node", "State", "Version", "Started", "Address"}, rows)
	}
	return p.err
}

// nodeState is how a node stands among those that share the log.
func (p *printer) nodeState(n admin.Node) string {
	switch {
	case n.Joining:
		return p.bad("joins")
	case n.LeaseSeconds != nil && *n.LeaseSeconds == 0:
		return p.bad("no lease")
	}
	return p.good("serves")
}
