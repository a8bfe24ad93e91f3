package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// What a storage class names, see crates/xtask/src/kube/control_plane.rs.
	provisioner = "penstock.dev/directory"

	chosenNode    = "volume.kubernetes.io/selected-node"
	provisionedBy = "pv.kubernetes.io/provisioned-by"

	// Looking costs nothing: all is read from caches that watches keep.
	lookEvery = 200 * time.Millisecond
)

// volumes KUBECONFIG RUN: gives every claim of our storage class a directory on the node that the scheduler chose.
//
// The directory is RUN/<node>/mnt/<volume>, which the node sees as /mnt/<volume>; it outlives the node's processes as
// a disk does, and goes with the claim. The volumes are of the kind `local` and not `hostPath`: only for those does
// the kubelet give the directory to the pod's group, without which nothing but root could write. Sizes are not
// enforced.
func volumes(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("wants a kubeconfig and the cluster's directory")
	}
	config, err := clientcmd.BuildConfigFromFlags("", arguments[0])
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	caches := informers.NewSharedInformerFactory(client, 0)
	v := keeper{
		client:  client,
		run:     arguments[1],
		claims:  caches.Core().V1().PersistentVolumeClaims().Lister(),
		volumes: caches.Core().V1().PersistentVolumes().Lister(),
		classes: caches.Storage().V1().StorageClasses().Lister(),
	}
	ctx := context.Background()
	caches.Start(ctx.Done())
	caches.WaitForCacheSync(ctx.Done())
	for ; ; time.Sleep(lookEvery) {
		// What fails now is looked at again: a line in the log says so each time.
		if err := errors.Join(v.provision(ctx), v.reclaim(ctx)); err != nil {
			log.Print(err)
		}
	}
}

type keeper struct {
	client  kubernetes.Interface
	run     string
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	classes storagelisters.StorageClassLister
}

// provision makes the volume of each claim that waits for one.
func (v keeper) provision(ctx context.Context) error {
	all, err := v.claims.List(labels.Everything())
	for _, claim := range all {
		if claim.Spec.VolumeName != "" || claim.Spec.StorageClassName == nil || claim.Annotations[chosenNode] == "" {
			continue
		}
		class, classErr := v.classes.Get(*claim.Spec.StorageClassName)
		if classErr != nil || class.Provisioner != provisioner {
			continue
		}
		volume := volumeOf(claim, claim.Annotations[chosenNode], *class.ReclaimPolicy)
		if _, known := v.volumes.Get(volume.Name); known == nil {
			continue
		}
		err = errors.Join(err, os.MkdirAll(v.directory(volume), 0o755))
		_, made := v.client.CoreV1().PersistentVolumes().Create(ctx, volume, meta.CreateOptions{})
		if made != nil && !apierrors.IsAlreadyExists(made) {
			err = errors.Join(err, fmt.Errorf("volume of %s/%s: %w", claim.Namespace, claim.Name, made))
		}
	}
	return err
}

// reclaim removes volumes whose claims are gone.
func (v keeper) reclaim(ctx context.Context) error {
	all, err := v.volumes.List(labels.Everything())
	for _, volume := range all {
		free := volume.Status.Phase == core.VolumeReleased && volume.DeletionTimestamp == nil
		deletes := volume.Spec.PersistentVolumeReclaimPolicy == core.PersistentVolumeReclaimDelete
		if volume.Annotations[provisionedBy] != provisioner || !free || !deletes {
			continue
		}
		if removed := os.RemoveAll(v.directory(volume)); removed != nil {
			err = errors.Join(err, removed)
			continue
		}
		gone := v.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, meta.DeleteOptions{})
		if gone != nil && !apierrors.IsNotFound(gone) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

// directory is where a volume lies, as the host sees it.
func (v keeper) directory(volume *core.PersistentVolume) string {
	return filepath.Join(v.run, volume.Annotations[chosenNode], "mnt", volume.Name)
}

func volumeOf(claim *core.PersistentVolumeClaim, node string, reclaim core.PersistentVolumeReclaimPolicy) *core.PersistentVolume {
	name := "pvc-" + string(claim.UID)
	onItsNode := core.NodeSelectorRequirement{
		Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{node},
	}
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{provisionedBy: provisioner, chosenNode: node},
		},
		Spec: core.PersistentVolumeSpec{
			StorageClassName:              *claim.Spec.StorageClassName,
			PersistentVolumeReclaimPolicy: reclaim,
			AccessModes:                   claim.Spec.AccessModes,
			Capacity: core.ResourceList{
				core.ResourceStorage: claim.Spec.Resources.Requests[core.ResourceStorage],
			},
			ClaimRef: &core.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: core.PersistentVolumeSource{
				Local: &core.LocalVolumeSource{Path: "/mnt/" + name},
			},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{
				NodeSelectorTerms: []core.NodeSelectorTerm{
					{MatchExpressions: []core.NodeSelectorRequirement{onItsNode}},
				},
			}},
		},
	}
}
