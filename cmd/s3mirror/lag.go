package main

import (
	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
)

func newLag(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lag",
		Short: "Show how far each backend is behind, by bucket",
		Args:  noArgs,
	}
	var flags clientFlags
	flags.register(cmd)
	check := cmd.Flags().Bool("check", false, "exit 3 when not converged")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := flags.client(env)
		if err != nil {
			return err
		}
		lag, err := client.Lag(cmd.Context())
		if err != nil {
			return explain(client, err)
		}
		if err := printLag(newPrinter(std, env), flags.output, lag); err != nil {
			return err
		}
		if *check && !lag.Converged {
			return errNotConverged
		}
		return nil
	}
	return cmd
}

// printLag shows a line per backend, and one per bucket that lags on it.
func printLag(p *printer, output string, l admin.Lag) error {
	if output == "json" {
		return writeDocument(p.out, l)
	}
	var rows [][]any
	add := func(name, bucket string, state any, b admin.Backlog, last any) {
		rows = append(rows, []any{name, bucket, state, b.Keys, size(b.Bytes), age(b.OldestSeconds), last})
	}
	for _, b := range l.Backends {
		add(b.Name, "all", p.state(b.State), b.Lagging, p.ago(b.LastSuccess))
		for _, bucket := range b.Buckets {
			add("", bucket.Bucket, "", bucket.Lagging, "")
		}
	}
	p.table([]any{"Backend", "Bucket", "State", "Lagging", "Bytes", "Oldest", "Last success"}, rows)
	return p.err
}
