//! The console as a person meets it: in a browser, with scripts. One body for every substrate.

use testkit::process::{World, wait_until};
use testkit::tools;

use crate::browser::Browser;
use crate::clients::Access;
use crate::platform::{Api, Platform};
use crate::thin_path;

/// From a phone to a wide screen; 320 is also 1280 enlarged four times.
const WIDTHS: [u32; 4] = [320, 390, 768, 1280];

#[test]
fn the_console_follows_an_add_on_of_this_machine() {
    let platform = Platform::up();
    let (api, token) = (platform.api(), platform.fact("token"));
    let console = Console::sign_in(&platform.world, platform.fact("console_url"), token);
    console.follows(&platform.world, &api, "clicks");
    console.sign_out();
}

/// A console in which somebody is signed in.
pub(crate) struct Console {
    browser: Browser,
}

impl Console {
    /// Opens the console and signs in, at the second try.
    pub(crate) fn sign_in(world: &World, url: &str, token: &str) -> Console {
        let console = Console { browser: Browser::open(world) };
        let browser = &console.browser;
        browser.show_as(1280, "light");
        browser.go(url);
        assert_eq!(browser.text("h1"), "Sign in");
        console.is_well_made("sign-in");
        browser.write("#token", "pen_nonsense");
        browser.press("button.primary");
        browser.wait_for_text("[role=alert]", &["unknown or revoked"]);
        console.is_well_made("sign-in-refused");
        // The refusal comes with a status that browsers note in their log.
        browser.complaints();
        browser.write("#token", token);
        browser.press("button.primary");
        browser.wait_for_text("h1", &["Add-ons"]);
        console
    }

    /// An add-on comes, runs and goes while the page stays as it was loaded. In between its records can be moved.
    pub(crate) fn follows(&self, world: &World, api: &Api, name: &str) -> Access {
        let browser = &self.browser;
        browser.run("window.loadedOnce = true");
        let row = format!("#resource-{name}");
        assert_eq!(browser.text(&row), "");
        let access = thin_path::provision(world, api, name);
        let address = thin_path::config_var(api, name, "_URL");
        browser.wait_for_text(&row, &[name, "Running", "dev", &address]);
        self.is_well_made("add-ons");
        browser.show_as(1280, "light");
        thin_path::remove(api, name);
        wait_until("the row is gone", || browser.text(&row).is_empty());
        assert_eq!(browser.run("return window.loadedOnce"), true, "the page was not loaded again");
        assert_eq!(browser.complaints(), Vec::<String>::new());
        access
    }

    /// Ends the session.
    pub(crate) fn sign_out(self) {
        self.browser.press(".who button");
        self.browser.wait_for_text("h1", &["Sign in"]);
        assert_eq!(self.browser.complaints(), Vec::<String>::new());
    }

    /// What holds for every page: nothing is cut off at any width, and axe finds nothing in either colour scheme.
    fn is_well_made(&self, page: &str) {
        let axe = tools::node_modules().join("node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(axe).expect("axe");
        for scheme in ["light", "dark"] {
            for width in WIDTHS {
                self.browser.show_as(width, scheme);
                let beyond =
                    "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
                assert_eq!(self.browser.run(beyond), 0, "{page} is wider than {width} pixels");
                self.browser.picture(&format!("{page}-{width}-{scheme}"));
            }
            self.browser.run(&axe);
            let judged = self.browser.run_until_done(
                "axe.run({ resultTypes: ['violations'] }).then(found => done(found.violations.map(
                    it => `${it.id}: ${it.help}: ${it.nodes.map(node => node.html).join(' ')}`)))",
            );
            assert_eq!(judged, serde_json::json!([]), "{page} in {scheme}");
        }
    }
}
