package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"text/template"
)

//go:embed performance.md.tmpl
var page string // docs/performance.md

//go:embed performance-cassandra.md.tmpl
var cassandraPage string // docs/performance-cassandra.md

// document is a page with its figures.
func document(page string, m machine, found []finding) (string, error) {
	t, err := template.New("performance.md").Funcs(template.FuncMap{"table": table, "setups": setups, "missed": missed}).Parse(page)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, struct {
		Machine machine
		Found   []finding
	}{m, found}); err != nil {
		return "", err
	}
	return out.String(), nil
}

// table is the figures in Markdown.
func table(found []finding) string {
	var b strings.Builder
	b.WriteString("| kind | figure | target | measured | spread | | row |\n|---|---|---|---|---|---|---|\n")
	for _, f := range found {
		if f.Failure != "" {
			fmt.Fprintf(&b, "| %s | %s | %s | not measured | | | `%s` |\n", f.Kind, f.Figure, f.Target, f.ID)
			continue
		}
		verdict := f.Verdict
		if verdict == "missed" {
			verdict = "**missed**"
		}
		if f.Dirty {
			verdict = strings.TrimSpace(fmt.Sprintf("%s (void: others used %.0f %%)", verdict, 100*f.Foreign))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s to %s | %s | `%s` |\n", f.Kind, f.Figure, f.Target, f.Value, f.Low, f.High, verdict, f.ID)
	}
	return b.String()
}

// setups says how each group of rows was taken.
func setups(found []finding) string {
	var b strings.Builder
	last := ""
	for _, f := range found {
		if f.About == last {
			continue
		}
		last = f.About
		var names []string
		for _, g := range found {
			if g.About == f.About {
				names = append(names, "`"+g.ID+"`")
			}
		}
		fmt.Fprintf(&b, "- %s: %s.", strings.Join(names, ", "), f.About)
		if f.Failure == "" {
			fmt.Fprintf(&b, " %d rounds, %d void and repeated; others used at most %.1f %% of the processors.", f.Rounds, f.Void, 100*f.Foreign)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// missed are the rows that are not at their target.
func missed(found []finding) []finding {
	var all []finding
	for _, f := range found {
		if f.Verdict == "missed" || f.Failure != "" {
			all = append(all, f)
		}
	}
	return all
}
