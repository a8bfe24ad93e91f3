package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// containerd listens after about 0.2 s on a free machine.
	containerdLimit = 60 * time.Second
	// The API server starts at the same time as the first nodes, and is ready 4 to 8 s later.
	serverLimit = 120 * time.Second
	// So that a program which cannot start does not use up a core; a kubelet that crashed is back before the
	// control plane misses it.
	restartAfter = time.Second
	probeEvery   = 100 * time.Millisecond
)

// nodeSettings is one node. The files that it names inside its directory are written by crates/xtask/src/kube/node.rs.
type nodeSettings struct {
	directory, name, address, zone string
	server, authority              string
	images                         string
	cgroup                         string
}

// node: the first process of a machine. It runs in namespaces of its own for network, mounts, process ids, IPC and
// host name; killing it is pulling the machine's plug, starting it again is booting the machine.
//
// What a machine loses with its power (/run: sockets, network leases, state of containers) is wiped first; what lies on
// its disk (images, volumes, the kubelet's directory) stays.
func node(arguments []string) error {
	if os.Getpid() == 1 {
		return first(arguments)
	}
	var n nodeSettings
	flags := flag.NewFlagSet("node", flag.ContinueOnError)
	flags.StringVar(&n.directory, "directory", "", "where this node's files lie")
	flags.StringVar(&n.name, "name", "", "the node's name")
	flags.StringVar(&n.address, "address", "", "its address in the cluster's network")
	flags.StringVar(&n.zone, "zone", "", "the zone that it says it is in")
	flags.StringVar(&n.server, "server", "", "the API server's URL")
	flags.StringVar(&n.authority, "authority", "", "the file with the cluster's CA")
	flags.StringVar(&n.images, "images", "", "the folder of image archives to import")
	flags.StringVar(&n.cgroup, "cgroup", "", "the cgroup of this node, below each hierarchy's root")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if err := n.boot(); err != nil {
		return err
	}
	if err := n.keep("containerd", "containerd", "--config", n.file("containerd.toml"), "--log-level", "warn"); err != nil {
		return err
	}
	if err := n.join(); err != nil {
		return err
	}
	select {}
}

func (n nodeSettings) file(name string) string { return filepath.Join(n.directory, name) }

// boot makes the machine: an empty /run, its own directories in the places where programs look for them, and the
// switches of its network.
func (n nodeSettings) boot() error {
	run := n.file("run")
	if err := os.RemoveAll(run); err != nil {
		return err
	}
	for _, directory := range []string{"run/netns", "run/cni", "log", "mnt", "containerd", "kubelet"} {
		if err := os.MkdirAll(n.file(directory), 0o755); err != nil {
			return err
		}
	}
	if err := n.freshCgroups(); err != nil {
		return fmt.Errorf("cgroups: %w", err)
	}
	err := errors.Join(
		unix.Sethostname([]byte(n.name)),
		// Programs below may share mounts with containers, but nothing comes back to the host from here: the mount
		// namespace was made private.
		unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, ""),
		bind(n.file("log"), "/var/log"),
		bind(n.file("mnt"), "/mnt"),
		// An image that nobody imported fails at once, as no name of a registry resolves.
		bind(n.file("resolv.conf"), "/etc/resolv.conf"),
		bind(n.file("run/cni"), "/var/lib/cni"),
		bind(run, "/run"),
		bind("/run/netns", "/run/netns"),
	)
	for _, name := range []string{"net/ipv4/ip_forward=1", "net/ipv4/conf/all/rp_filter=0", "net/bridge/bridge-nf-call-iptables=1"} {
		path, value, _ := strings.Cut(name, "=")
		err = errors.Join(err, os.WriteFile("/proc/sys/"+path, []byte(value), 0))
	}
	return err
}

func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", from, to, err)
	}
	return nil
}

// freshCgroups makes this node's cgroup in every hierarchy. What an earlier life left there goes first: a kubelet that
// finds cgroups of containers which are no more waits for them, 12 s in all.
func (n nodeSettings) freshCgroups() error {
	for _, hierarchy := range hierarchies() {
		own := filepath.Join(hierarchy, n.cgroup)
		var deepestLast []string
		_ = filepath.WalkDir(own, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && path != own {
				deepestLast = append(deepestLast, path)
			}
			return nil
		})
		for i := len(deepestLast) - 1; i >= 0; i-- {
			_ = os.Remove(deepestLast[i])
		}
		if err := os.MkdirAll(own, 0o755); err != nil {
			return err
		}
		if err := inheritCpus(hierarchy, n.cgroup); err != nil {
			return err
		}
	}
	return nil
}

// hierarchies are the roots under which cgroups are made: one of version 2, or one for each controller of version 1.
func hierarchies() []string {
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(root + "/cgroup.controllers"); err == nil {
		return []string{root}
	}
	var roots []string
	entries, _ := os.ReadDir(root)
	for _, entry := range entries {
		// Version 2 beside version 1 has no controllers, and links are second names.
		if entry.IsDir() && entry.Name() != "unified" {
			roots = append(roots, filepath.Join(root, entry.Name()))
		}
	}
	return roots
}

// inheritCpus gives a cgroup of version 1 its processors and memory nodes: it starts with none, and nothing can run in
// it then.
func inheritCpus(hierarchy, cgroup string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		from, err := os.ReadFile(filepath.Join(hierarchy, file))
		if err != nil {
			continue
		}
		at := hierarchy
		for part := range strings.SplitSeq(strings.Trim(cgroup, "/"), "/") {
			at = filepath.Join(at, part)
			if err := os.WriteFile(filepath.Join(at, file), from, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// join makes the machine a node of the cluster, once containerd has the images and the API server answers.
func (n nodeSettings) join() error {
	if err := within(containerdLimit, "containerd listens", func() error {
		return exec.Command("ctr", "version").Run()
	}); err != nil {
		return fmt.Errorf("%w; see %s", err, n.file("containerd.log"))
	}
	archives, err := filepath.Glob(filepath.Join(n.images, "*.tar"))
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if said, err := exec.Command("ctr", "--namespace", "k8s.io", "images", "import", archive).CombinedOutput(); err != nil {
			return fmt.Errorf("import %s: %w: %s", archive, err, said)
		}
	}
	if err := within(serverLimit, n.server+" answers", n.serverReady); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	node := "topology.kubernetes.io/region=test,topology.kubernetes.io/zone=" + n.zone
	return errors.Join(
		n.keep("kubelet", self, "kubelet", "--config", n.file("kubelet.yaml"), "--kubeconfig", n.file("kubeconfig"),
			"--root-dir", n.file("kubelet"), "--hostname-override", n.name, "--node-ip", n.address, "--node-labels", node),
		n.keep("kube-proxy", self, "kube-proxy", "--config", n.file("kube-proxy.yaml")),
	)
}

func (n nodeSettings) serverReady() error {
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(n.authority)
	if err != nil {
		return err
	}
	roots.AppendCertsFromPEM(pem)
	client := http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
	}
	answer, err := client.Get(n.server + "/readyz")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("it says %s", answer.Status)
	}
	return nil
}

func within(limit time.Duration, what string, probe func() error) error {
	for end := time.Now().Add(limit); ; time.Sleep(probeEvery) {
		err := probe()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %s in vain until %s: %w", limit, what, err)
		}
	}
}

// keep starts a program, its output in a file of its name, and starts it again whenever it ends.
func (n nodeSettings) keep(name, program string, arguments ...string) error {
	output, err := os.OpenFile(n.file(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	start := func() (*exec.Cmd, error) {
		command := exec.Command(program, arguments...)
		command.Stdout, command.Stderr = output, output
		return command, command.Start()
	}
	command, err := start()
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		for {
			log.Printf("%s ended: %v", name, command.Wait())
			for {
				time.Sleep(restartAfter)
				if command, err = start(); err == nil {
					break
				}
				log.Printf("start %s: %v", name, err)
			}
		}
	}()
	return nil
}

// first is process 1: it starts itself once more to do the work, and collects whatever ends below it. Containers' shims
// lose their parents on purpose, and every orphan becomes a child of process 1; a process that also waits for children
// of its own could not tell the two apart.
func first(arguments []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	worker, err := syscall.ForkExec(self, append([]string{self, "node"}, arguments...), &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		return err
	}
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		if err != nil && err != syscall.EINTR {
			return err
		}
		if ended == worker {
			return fmt.Errorf("the node's programs are no longer watched: %v", status)
		}
	}
}
