package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/cassandra"
)

// configFlag adds --config and returns where its value will be.
func configFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("config", "c", "", "configuration file (YAML), see docs/configuration.md")
}

// mustConfig loads the file of --config.
func mustConfig(file string, env environ) (*Config, error) {
	if file == "" {
		return nil, usageError{errors.New("name a configuration: --config FILE")}
	}
	return loadConfig(file, env)
}

func newCheckConfig(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check-config",
		Short: "Check a configuration file, and the cluster of Cassandra that it names",
		Long: `Checks a configuration file: every fault is told at once, and nothing is opened.

With log.engine cassandra the cluster is looked at as well, if it can be reached:
versions, paxos_variant, time limits, numbers of nodes and copies, clocks. What
makes it unfit is told in words. One that cannot be reached is no fault of the
file; that it was not looked at is said on standard error. --offline looks at none.`,
		Args: noArgs,
	}
	file := configFlag(cmd)
	offline := cmd.Flags().Bool("offline", false, "do not look at the cluster")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := mustConfig(*file, env)
		if err != nil {
			return err
		}
		if cfg.Log.Engine == engineCassandra && !*offline {
			if err := inspect(cmd.Context(), std, cfg.Log.Cassandra); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintf(std.out, "%s: ok, %d backends, ack %s\n", *file, len(cfg.Backends), cfg.Replication.Ack)
		return err
	}
	return cmd
}

// inspect looks at the cluster. Everything for which it is unfit is in the error.
func inspect(ctx context.Context, std streams, k *CassandraConfig) error {
	report, err := cassandra.Inspect(ctx, cassandraOptions(k, quietLogger(std)))
	switch {
	case errors.Is(err, cassandra.ErrRefused):
		return usageError{fmt.Errorf("log.cassandra: %w", err)}
	case errors.Is(err, cassandra.ErrUnreachable):
		fmt.Fprintf(std.err, "NOT LOOKED AT: log.cassandra: %v\n", err)
		return nil
	case err != nil:
		return usageError{fmt.Errorf("log.cassandra: %w", err)}
	}
	for _, w := range report.Warnings {
		fmt.Fprintln(std.err, "warning: log.cassandra: "+w)
	}
	if len(report.Faults) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("log.cassandra: %w: %s", cassandra.ErrUnsuitable, strings.Join(report.Faults, "; "))}
}
