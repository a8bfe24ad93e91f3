package main

import (
	"os"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/ready"
)

// dns -conf COREFILE: names of Services and pods, by CoreDNS with the six plugins that this takes.
func dns([]string) error {
	// The order in which a question passes through them.
	dnsserver.Directives = []string{"bind", "ready", "errors", "loadbalance", "cache", "kubernetes"}
	os.Args[0] = "coredns"
	coremain.Run()
	return nil
}
