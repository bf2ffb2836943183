package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
)

func newHistory(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Show what was done, newest first",
		Args:  noArgs,
	}
	var flags clientFlags
	flags.register(cmd)
	var filter admin.HistoryFilter
	cmd.Flags().StringVar(&filter.Bucket, "bucket", "", "only this bucket")
	cmd.Flags().StringVar(&filter.Prefix, "prefix", "", "only keys that begin so")
	since := cmd.Flags().String("since", "", "nothing older: a time (2026-01-02T15:04:05Z) or a span (1h, 7d)")
	until := cmd.Flags().String("until", "", "only what is older: a time or a span, as of --since")
	cmd.Flags().StringVar(&filter.Op, "op", "", "only this operation, as in put, heal, updateUser")
	cmd.Flags().StringVar(&filter.Actor, "user", "", "only what this user did")
	cmd.Flags().StringVar(&filter.Result, "result", "", "only what ended so, as in acked, refused")
	limit := cmd.Flags().Int("limit", 100, "most events to show")
	completeFlag(cmd, "bucket", env, bucketNames)
	completeFlag(cmd, "user", env, userNames)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := flags.client(env)
		if err != nil {
			return err
		}
		if *limit < 1 {
			return usageError{fmt.Errorf("--limit %d: want 1 or more", *limit)}
		}
		p := newPrinter(std, env)
		if filter.Since, err = parseSince("--since", *since, p.now); err != nil {
			return err
		}
		if filter.Until, err = parseSince("--until", *until, p.now); err != nil {
			return err
		}
		page, err := readHistory(cmd.Context(), client, filter, *limit)
		if err != nil {
			return explain(client, err)
		}
		return printHistory(p, flags.output, page)
	}
	return cmd
}

// parseSince reads a moment, or a span before now; empty is no moment.
func parseSince(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	span, err := ParseDuration(text)
	if err != nil {
		return time.Time{}, usageError{fmt.Errorf("%s %q: want a time as in 2026-01-02T15:04:05Z, or a span as in 1h or 7d", flag, text)}
	}
	return now.Add(-time.Duration(span)), nil
}

// pageLimit is the largest page that the API gives.
const pageLimit = 1000

// readHistory gets pages until the limit is reached or there are no more.
func readHistory(ctx context.Context, c *admin.Client, f admin.HistoryFilter, limit int) (admin.HistoryPage, error) {
	all := admin.HistoryPage{Events: []admin.Event{}}
	for {
		f.Limit = min(limit-len(all.Events), pageLimit)
		page, err := c.History(ctx, f)
		if err != nil {
			return admin.HistoryPage{}, err
		}
		all.Events = append(all.Events, page.Events...)
		all.Cursor, f.Cursor = page.Cursor, page.Cursor
		if page.Cursor == "" || len(all.Events) >= limit {
			return all, nil
		}
	}
}

// resultOf is the result, and of a refusal why.
func resultOf(e admin.Event) string {
	if e.Detail == "" {
		return e.Result
	}
	return e.Result + ": " + e.Detail
}

// printHistory shows a line per event.
func printHistory(p *printer, output string, page admin.HistoryPage) error {
	if output == "json" {
		return writeDocument(p.out, page)
	}
	rows := make([][]any, len(page.Events))
	for i, e := range page.Events {
		var outcome []string
		for _, name := range slices.Sorted(maps.Keys(e.Backends)) {
			outcome = append(outcome, name+"="+e.Backends[name])
		}
		rows[i] = []any{
			e.Time.UTC().Format("2006-01-02 15:04:05.000"), e.Op, e.Bucket, strconv.QuoteToGraphic(e.Key),
			size(e.Size), e.Actor, resultOf(e), strings.Join(outcome, " "), e.Client,
		}
	}
	p.table([]any{"Time (UTC)", "Op", "Bucket", "Key", "Size", "Who", "Result", "Backends", "From"}, rows)
	if page.Cursor != "" {
		p.line("there is more: raise --limit")
	}
	return p.err
}
