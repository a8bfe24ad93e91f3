//! The Helm charts: `helm lint` with each case's values, and what each case renders compared with the file that is kept
//! beside it.
//!
//! A case is a pair in `charts/NAME/tests`: `CASE.values.yaml` and `CASE.golden.yaml`. What changes in the second is read
//! in review; `UPDATE_EXPECT=1` writes it. Values that must be refused are in [`REFUSED`].

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::{kube, run};

/// Where everything is rendered as if it were installed.
const NAMESPACE: &str = "penstock-system";

/// For which Kubernetes: the one of the tests. A helm that was built from source takes one of its own for granted.
const KUBERNETES: &str = "1.34.0";

/// Values that the schema of a chart must refuse, with a part of what helm says about it.
const REFUSED: &[(&str, &[&str], &str)] = &[
    ("penstock", &[], "database"),
    ("penstock", &["database.url=mysql://host/name"], "url"),
    ("penstock", &["database.existingSecret=a", "replicas=many"], "replicas"),
    ("penstock", &["database.existingSecret=a", "databse.url=b"], "databse"),
    ("penstock-operator", &["releases=null"], "releases"),
    ("penstock-operator", &["brokerImagePullPolicy=Sometimes"], "brokerImagePullPolicy"),
    ("penstock-operator", &["watchNamespace=Not_A_Name"], "watchNamespace"),
];

/// Checks all charts where helm can be had; says so where it cannot.
pub(crate) fn test_where_helm_is(root: &Path) -> anyhow::Result<()> {
    match helm() {
        Ok(helm) => {
            let cases = test(root, &helm)?;
            run::say(&format!("charts: {cases} cases rendered as before"));
        }
        Err(error) => run::say(&format!("charts: skipped, for want of helm: {error:#}")),
    }
    Ok(())
}

/// The one on the PATH, or else one that is built from its source.
fn helm() -> anyhow::Result<PathBuf> {
    let works = Command::new("helm").arg("version").output().is_ok_and(|output| output.status.success());
    if works { Ok(PathBuf::from("helm")) } else { kube::helm() }
}

/// Checks all charts with this helm. Returns how many cases there are.
pub(crate) fn test(root: &Path, helm: &Path) -> anyhow::Result<usize> {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut cases = 0;
    for chart in charts(root)? {
        for values in cases_of(&chart)? {
            lint(helm, &chart, &values)?;
            let rendered = run::output(template(helm, &chart).arg("--values").arg(&values))?;
            compare(&golden_of(&values), &rendered, update)?;
            cases += 1;
        }
    }
    ensure!(cases > 0, "there are no cases in charts/*/tests");
    for (chart, settings, about) in REFUSED {
        refuse(helm, &root.join("charts").join(chart), settings, about)?;
    }
    Ok(cases)
}

fn charts(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let dir = root.join("charts");
    let entries = std::fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))?;
    let mut charts: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    charts.retain(|chart| chart.join("Chart.yaml").is_file());
    charts.sort();
    Ok(charts)
}

fn cases_of(chart: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let dir = chart.join("tests");
    let entries = std::fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))?;
    let mut values: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    values.retain(|path| path.to_string_lossy().ends_with(".values.yaml"));
    values.sort();
    Ok(values)
}

fn golden_of(values: &Path) -> PathBuf {
    PathBuf::from(values.to_string_lossy().replace(".values.yaml", ".golden.yaml"))
}

fn lint(helm: &Path, chart: &Path, values: &Path) -> anyhow::Result<()> {
    let mut lint = Command::new(helm);
    lint.args(["lint", "--quiet", "--strict"]).arg(chart).arg("--values").arg(values);
    run::output(&mut lint).map(drop)
}

/// Renders a chart without asking any Kubernetes. The definitions of custom resources are left out: they are a file of
/// their own, which is compared where it is generated.
fn template(helm: &Path, chart: &Path) -> Command {
    let name = chart.file_name().unwrap_or_default();
    let mut template = Command::new(helm);
    template.arg("template").arg(name).arg(chart).args([
        "--namespace",
        NAMESPACE,
        "--kube-version",
        KUBERNETES,
    ]);
    if chart.join("files/crds.yaml").is_file() {
        template.args(["--set", "crds.install=false"]);
    }
    template
}

fn compare(golden: &Path, rendered: &str, update: bool) -> anyhow::Result<()> {
    if update {
        return std::fs::write(golden, rendered).with_context(|| format!("write {}", golden.display()));
    }
    let kept = std::fs::read_to_string(golden).with_context(|| format!("read {}", golden.display()))?;
    if let Some((line, (was, is))) = first_difference(&kept, rendered) {
        bail!(
            "{} does not say what the chart renders; line {line} was {was:?} and is {is:?}. If that is meant, run with UPDATE_EXPECT=1",
            golden.display()
        );
    }
    Ok(())
}

/// The number of the first line that differs, and both.
fn first_difference<'a>(kept: &'a str, rendered: &'a str) -> Option<(usize, (&'a str, &'a str))> {
    let (mut kept, mut rendered) = (kept.lines(), rendered.lines());
    for line in 1.. {
        match (kept.next(), rendered.next()) {
            (None, None) => return None,
            (was, is) if was == is => {}
            (was, is) => return Some((line, (was.unwrap_or("(end)"), is.unwrap_or("(end)")))),
        }
    }
    None
}

fn refuse(helm: &Path, chart: &Path, settings: &[&str], about: &str) -> anyhow::Result<()> {
    let mut template = template(helm, chart);
    for setting in settings {
        template.args(["--set", setting]);
    }
    let output = template.output().with_context(|| format!("start {}", helm.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "{} accepts {settings:?}", chart.display());
    ensure!(said.contains(about), "{} refuses {settings:?} without naming {about}: {said}", chart.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_found_wherever_it_is() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some((2, ("b", "c"))));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some((2, ("(end)", "b"))));
        assert_eq!(first_difference("a\nb\n", "a\n"), Some((2, ("b", "(end)"))));
    }

    #[test]
    fn every_chart_has_cases_with_what_they_render() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let charts = charts(root).unwrap();
        assert_eq!(charts.len(), 2, "{charts:?}");
        for chart in charts {
            let cases = cases_of(&chart).unwrap();
            assert!(!cases.is_empty(), "{} has no cases", chart.display());
            for values in cases {
                assert!(golden_of(&values).is_file(), "{} has no golden file", values.display());
            }
        }
    }
}
