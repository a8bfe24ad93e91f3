// Command testcluster holds every program of a Kubernetes cluster, so that tests can have a real one on a machine
// without container tools, registry or systemd. The first argument says which program it is.
//
// `cargo xtask kube up` (crates/xtask/src/kube) builds it, starts the programs in order and knows all addresses and
// directories; nothing here knows another program of the cluster but by its arguments. Kubernetes' own commands are
// taken as they are; ours are those that a distribution would bring: etcd with its settings, DNS, certificates, a
// provisioner of volumes, and the first process of a node.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// Kubernetes' own programs.
var upstream = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-proxy":              proxy.NewProxyCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

// What Kubernetes leaves to others.
var ours = map[string]func(arguments []string) error{
	"certificates": certificates,
	"dns":          dns,
	"etcd":         etcd,
	"node":         node,
	"volumes":      volumes,
}

func main() {
	// Under its own name it is kubectl, for whoever wants a path and no arguments.
	if filepath.Base(os.Args[0]) == "kubectl" {
		os.Args = append([]string{"testcluster", "kubectl"}, os.Args[1:]...)
	}
	if len(os.Args) < 2 {
		fail(2, "name one of the programs: %s", names())
	}
	program, arguments := os.Args[1], os.Args[2:]
	// Cobra and CoreDNS look at os.Args themselves.
	os.Args = append([]string{program}, arguments...)
	if command, found := upstream[program]; found {
		os.Exit(cli.Run(command()))
	}
	if program == "kubectl" {
		// It prints its own errors.
		if cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()) != nil {
			os.Exit(1)
		}
		return
	}
	run, found := ours[program]
	if !found {
		fail(2, "%q is none of the programs: %s", program, names())
	}
	if err := run(arguments); err != nil {
		fail(1, "%s: %v", program, err)
	}
}

func names() string {
	all := []string{"kubectl"}
	for name := range upstream {
		all = append(all, name)
	}
	for name := range ours {
		all = append(all, name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func fail(code int, format string, values ...any) {
	fmt.Fprintf(os.Stderr, "testcluster: "+format+"\n", values...)
	os.Exit(code)
}
