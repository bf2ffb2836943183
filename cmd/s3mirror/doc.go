// Command s3mirror is the whole product in one binary: the server (serve, demo)
// and the client of its admin API (status, lag, history, ...).
//
// It promises that nothing is opened before the configuration is known to be
// sound, that every fault of a configuration is reported at once with its line,
// and that the exit code says what happened: 0 done, 1 failed, 2 wrong usage or
// configuration, 3 not converged or not healthy.
//
// Flags, file formats and exit codes live here and nowhere else; the packages
// it wires know none of them.
package main
