package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/cassandra"
)

func newMigrate(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Make or upgrade the log's schema in Cassandra",
		Long: `Makes the keyspace of log.cassandra, or brings its tables to what this version
needs. It may be run at any time, again after it was cut off, and by several at
once: a lock row lets one at a time work.`,
		Args: noArgs,
	}
	file := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := mustConfig(*file, env)
		if err != nil {
			return err
		}
		say := func(step string) { fmt.Fprintln(std.out, step) }
		if cfg.Log.Engine != engineCassandra {
			say("log.engine is " + cfg.Log.Engine + ": there is nothing to migrate")
			return nil
		}
		logger := slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
		if err := cassandra.Migrate(cmd.Context(), cassandraOptions(cfg.Log.Cassandra, logger), say); err != nil {
			return fmt.Errorf("log.cassandra: %w", err)
		}
		return nil
	}
	return cmd
}
