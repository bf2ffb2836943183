// Package layers checks who imports whom. Its test holds the table of the
// layers: what a package of this module may know of the others. A package that
// is not in the table fails it, so that no new one slips in unplaced.
package layers
