// Command program is the program of scripts/deploy.
package main

import "github.com/gatepostdev/gatepost/scripts/internal/deploy"

func main() { deploy.Main() }
