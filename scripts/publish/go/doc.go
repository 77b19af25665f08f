// Command go publishes that a lamp was switched on, see package publish.
package main
