package main

import "github.com/spf13/cobra"

func newServe(streams, environ) *cobra.Command { return &cobra.Command{Use: "serve"} }
func newDemo(streams, environ) *cobra.Command  { return &cobra.Command{Use: "demo"} }
