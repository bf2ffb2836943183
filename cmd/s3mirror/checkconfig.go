package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
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
		Short: "Check a configuration file, open nothing",
		Args:  noArgs,
	}
	file := configFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := mustConfig(*file, env)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.out, "%s: ok, %d backends, ack %s\n", *file, len(cfg.Backends), cfg.Replication.Ack)
		return err
	}
	return cmd
}
