package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Longer than any test cluster lives, by far.
const validity = 30 * 24 * time.Hour

// certificates DIRECTORY SERVER-URL SERVICE-ADDRESS NODE=ADDRESS...: one authority and whatever it signs.
//
// NAME.crt and NAME.key for who serves, NAME.kubeconfig for who asks, and sa.key, which signs the tokens of service
// accounts. SERVICE-ADDRESS is that of the Service `kubernetes`, by which pods know the API server.
func certificates(arguments []string) error {
	if len(arguments) < 4 {
		return errors.New("wants a directory, the server's URL, its address as a Service, and nodes")
	}
	server, err := url.Parse(arguments[1])
	if err != nil {
		return err
	}
	ca, err := newAuthority(arguments[0], arguments[1])
	if err != nil {
		return err
	}
	apiNames := []string{
		server.Hostname(), arguments[2], "localhost", "127.0.0.1",
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	}
	err = errors.Join(
		ca.serve("apiserver", subject("kube-apiserver"), apiNames...),
		// How the API server shows itself to kubelets, and to extensions of itself.
		ca.serve("apiserver-kubelet", subject("kube-apiserver-kubelet", "system:masters")),
		ca.serve("front-proxy", subject("front-proxy")),
		ca.ask("admin", subject("admin", "system:masters")),
		ca.ask("kube-controller-manager", subject("system:kube-controller-manager")),
		ca.ask("kube-scheduler", subject("system:kube-scheduler")),
		ca.ask("kube-proxy", subject("system:kube-proxy")),
		ca.ask("dns", subject("dns", "system:masters")),
		ca.ask("volumes", subject("volumes", "system:masters")),
	)
	for _, argument := range arguments[3:] {
		name, address, found := strings.Cut(argument, "=")
		if !found {
			return fmt.Errorf("%q is not NODE=ADDRESS", argument)
		}
		who := subject("system:node:"+name, "system:nodes")
		err = errors.Join(err, ca.ask(name, who), ca.serve(name+"-serving", who, name, address))
	}
	_, tokens, keyErr := newKey()
	return errors.Join(err, keyErr, ca.write("sa.key", tokens))
}

func subject(name string, groups ...string) pkix.Name {
	return pkix.Name{CommonName: name, Organization: groups}
}

// An authority in a directory.
type authority struct {
	directory, server string
	certificate       *x509.Certificate
	key               *ecdsa.PrivateKey
	pem               []byte
}

func newAuthority(directory, server string) (*authority, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, err
	}
	certificate, err := template(subject("penstock-test-cluster"))
	if err != nil {
		return nil, err
	}
	certificate.IsCA, certificate.BasicConstraintsValid = true, true
	certificate.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	ca := &authority{directory: directory, server: server, certificate: certificate, key: key}
	if ca.pem, err = ca.sign(certificate, key); err != nil {
		return nil, err
	}
	return ca, errors.Join(ca.write("ca.crt", ca.pem), ca.write("ca.key", keyPEM))
}

// serve writes a certificate for these names and its key.
func (ca *authority) serve(file string, who pkix.Name, names ...string) error {
	certificate, key, err := ca.issue(who, names)
	return errors.Join(err, ca.write(file+".crt", certificate), ca.write(file+".key", key))
}

// ask writes a kubeconfig that reaches the API server as this user.
func (ca *authority) ask(file string, who pkix.Name) error {
	certificate, key, err := ca.issue(who, nil)
	if err != nil {
		return err
	}
	const only = "penstock-test"
	config := api.NewConfig()
	config.Clusters[only] = &api.Cluster{Server: ca.server, CertificateAuthorityData: ca.pem}
	config.AuthInfos[only] = &api.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key}
	config.Contexts[only] = &api.Context{Cluster: only, AuthInfo: only}
	config.CurrentContext = only
	text, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	return ca.write(file+".kubeconfig", text)
}

// issue makes a certificate that is good on both ends of a connection, and its key.
func (ca *authority) issue(who pkix.Name, names []string) (certificate, keyPEM []byte, err error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	wanted, err := template(who)
	if err != nil {
		return nil, nil, err
	}
	wanted.KeyUsage = x509.KeyUsageDigitalSignature
	wanted.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			wanted.IPAddresses = append(wanted.IPAddresses, address)
		} else {
			wanted.DNSNames = append(wanted.DNSNames, name)
		}
	}
	certificate, err = ca.sign(wanted, key)
	return certificate, keyPEM, err
}

func (ca *authority) sign(wanted *x509.Certificate, key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, wanted, ca.certificate, &key.PublicKey, ca.key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

func (ca *authority) write(file string, content []byte) error {
	return os.WriteFile(filepath.Join(ca.directory, file), content, 0o600)
}

func template(who pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	// An hour back, for clocks that differ.
	from := time.Now().Add(-time.Hour)
	return &x509.Certificate{SerialNumber: serial, Subject: who, NotBefore: from, NotAfter: from.Add(validity)}, nil
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	// SEC 1 and not PKCS #8: the API server reads the key of the service accounts in no other form.
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
