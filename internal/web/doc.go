// Package web is the console: a page, its scripts and styles, which web/ is the
// source of and scripts/web.sh builds into dist. They are embedded, so that the
// program needs nothing beside it and building it needs no Node.
//
// It promises that the page runs no script and asks no server but its own, that
// what may be kept forever says so, and that a browser gets the smallest form
// that it takes. It must know nothing of what the console shows: the console is a
// client of the admin API like any other.
package web
