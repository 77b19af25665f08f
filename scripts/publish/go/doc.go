// Command go publishes the event that a lamp was switched on; see package publish.
package main
