//go:build !race

package sendevent_test

const race = false
