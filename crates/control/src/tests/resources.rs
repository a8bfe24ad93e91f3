//! Accounts, tokens, apps, and the acceptance of resources.

use model::Generation;
use model::operation::State as OperationState;
use model::resource::State;
use secrecy::ExposeSecret;

use super::{World, dev};
use crate::{AttachmentFilter, CreateResource, Page, Problem, ResourceRef};

#[tokio::test]
async fn a_token_speaks_for_its_account_and_nothing_else_does() {
    let world = World::new().await;
    let account = world.control.create_account("acme").await.unwrap();
    let token = world.control.issue_token(account.id, "laptop").await.unwrap();
    let caller = world.control.authenticate(token.secret.expose_secret()).await.unwrap();
    assert_eq!((caller.account, caller.actor.as_str()), (account.id, "laptop"));
    for wrong in ["", "pen_wrong", "Bearer"] {
        assert!(matches!(world.control.authenticate(wrong).await, Err(Problem::Unauthenticated)));
    }
    let again = world.control.create_account("acme").await;
    assert!(matches!(again, Err(Problem::NameTaken { what: "account", .. })));
    assert_eq!(world.control.account_named("acme").await.unwrap(), Some(account));
    assert_eq!(world.trail(&caller).await, ["account.create acme", "token.issue laptop"]);
}

#[tokio::test]
async fn a_resource_is_accepted_with_everything_that_it_needs() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let app = world.control.create_app(&caller, "shop").await.unwrap();
    let wanted = CreateResource {
        name: Some("orders".to_owned()),
        app: Some("shop".to_owned()),
        plan: "heroku-kafka:dev".to_owned(),
        region: Some("local".to_owned()),
    };
    let accepted = world.control.create_resource(&caller, &wanted, None).await.unwrap();
    let resource = &accepted.resource;
    assert_eq!((resource.name.as_str(), resource.state), ("orders", State::Provisioning));
    assert_eq!((resource.generation, resource.kafka_url()), (Generation::FIRST, None));
    assert_eq!(resource.app.as_ref(), Some(&app));
    assert_eq!(accepted.operation.state, OperationState::Pending);
    assert_eq!(
        accepted.operation.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(),
        ["publish", "brokers"]
    );
    assert_eq!(resource.operation, Some(accepted.operation.id));
    assert_eq!(world.control.operation(&caller, accepted.operation.id).await.unwrap(), accepted.operation);
    assert_eq!(world.control.resource(&caller, &"orders".into()).await.unwrap(), *resource);
    assert_eq!(world.control.resource(&caller, &resource.id.into()).await.unwrap(), *resource);

    let attachments =
        world.control.attachments(&caller, AttachmentFilter::App("shop".to_owned())).await.unwrap();
    assert_eq!(attachments.len(), 1);
    assert_eq!(
        attachments[0].config_var_names,
        ["KAFKA_URL", "KAFKA_TRUSTED_CERT", "KAFKA_CLIENT_CERT", "KAFKA_CLIENT_CERT_KEY"]
    );
    let second = CreateResource { name: None, ..wanted };
    let second = world.control.create_resource(&caller, &second, None).await.unwrap().resource;
    assert!(second.attachment.unwrap().starts_with("HEROKU_KAFKA_"));

    let mut tx = world.store.begin().await.unwrap();
    let intent = store::cluster::newest_intent(&mut tx, resource.cluster).await.unwrap().unwrap();
    assert_eq!(intent.name, resource.cluster_name);
    assert!(intent.client_cas[0].starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(
        world.trail(&caller).await[..3],
        ["account.create acme", "app.create shop", "resource.create orders"]
    );
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_leaves_nothing() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let refuse = async |change: fn(&mut CreateResource)| {
        let mut wanted = dev("orders");
        change(&mut wanted);
        world.control.create_resource(&caller, &wanted, None).await.unwrap_err()
    };
    let plan = refuse(|wanted| wanted.plan = "gold".to_owned()).await;
    assert!(
        matches!(&plan, Problem::UnknownPlan { known, .. } if known.contains(&"dev".to_owned())),
        "{plan}"
    );
    let region = refuse(|wanted| wanted.region = Some("mars".to_owned())).await;
    assert!(matches!(region, Problem::Invalid { field: "region", .. }));
    let name = refuse(|wanted| wanted.name = Some("Näme".to_owned())).await;
    assert!(matches!(name, Problem::Invalid { field: "name", .. }));
    let app = refuse(|wanted| wanted.app = Some("nowhere".to_owned())).await;
    assert!(matches!(app, Problem::NotFound { what: "app", .. }));
    assert_eq!(world.control.resources(&caller, Page::default()).await.unwrap().items, []);
    assert_eq!(world.trail(&caller).await, ["account.create acme"]);
}

#[tokio::test]
async fn of_several_who_want_a_name_at_once_one_gets_it() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let wanted = dev("orders");
    let attempts = (0..8).map(|_| world.control.create_resource(&caller, &wanted, None));
    let outcomes = futures_util::future::join_all(attempts).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for outcome in outcomes {
        assert!(matches!(outcome, Ok(_) | Err(Problem::NameTaken { what: "resource", .. })), "{outcome:?}");
    }
    // Another account may use the same name.
    world.accept(&world.tenant("other").await, "orders").await;
}

#[tokio::test]
async fn a_request_with_a_key_happens_once() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let wanted = CreateResource { name: None, ..dev("") };
    let attempts = (0..4).map(|_| world.control.create_resource(&caller, &wanted, Some("k-1")));
    let outcomes = futures_util::future::join_all(attempts).await;
    let first = outcomes[0].as_ref().unwrap();
    for outcome in &outcomes {
        let outcome = outcome.as_ref().unwrap();
        assert_eq!((outcome.resource.id, outcome.operation.id), (first.resource.id, first.operation.id));
    }
    assert_eq!(world.control.resources(&caller, Page::default()).await.unwrap().items.len(), 1);

    let other = world.control.create_resource(&caller, &dev("orders"), Some("k-1")).await;
    assert!(matches!(other, Err(Problem::IdempotencyConflict { .. })));
    let bad = world.control.create_resource(&caller, &wanted, Some("with space")).await;
    assert!(matches!(bad, Err(Problem::Invalid { field: "Idempotency-Key", .. })));
    // A key belongs to an account.
    let stranger = world.tenant("other").await;
    let theirs = world.control.create_resource(&stranger, &wanted, Some("k-1")).await.unwrap();
    assert_ne!(theirs.resource.id, first.resource.id);
}

#[tokio::test]
async fn a_request_that_failed_leaves_its_key_free() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    world.accept(&caller, "orders").await;
    let taken = world.control.create_resource(&caller, &dev("orders"), Some("k")).await;
    assert!(matches!(taken, Err(Problem::NameTaken { .. })));
    world.control.create_resource(&caller, &dev("payments"), Some("k")).await.unwrap();
}

#[tokio::test]
async fn what_belongs_to_others_is_not_there() {
    let world = World::new().await;
    let (owner, stranger) = (world.tenant("acme").await, world.tenant("other").await);
    let resource = world.ready(&owner, "orders").await;
    let operation = world.control.operations(&owner, None, Page::default()).await.unwrap().items[0].id;
    let control = &world.control;
    let topic = crate::NewTopic {
        name: "t".to_owned(),
        partitions: None,
        replication_factor: None,
        retention_ms: None,
        compaction: false,
    };
    let change = crate::TopicChange::default();
    for reference in [resource, ResourceRef::from("orders")] {
        let r = &reference;
        let answers = [
            control.resource(&stranger, r).await.err(),
            control.destroy_resource(&stranger, r, None).await.err(),
            control.operations(&stranger, Some(r), Page::default()).await.err(),
            control.operation(&stranger, operation).await.err(),
            control.topics(&stranger, r).await.err(),
            control.create_topic(&stranger, r, &topic, None).await.err(),
            control.update_topic(&stranger, r, "t", &change).await.err(),
            control.delete_topic(&stranger, r, "t").await.err(),
            control.cluster_info(&stranger, r).await.err(),
            control.credentials(&stranger, r).await.err(),
            control.create_credential(&stranger, r, "mine", None).await.err(),
            control.revoke_credential(&stranger, r, model::CredentialId(operation.0)).await.err(),
            control.config_vars(&stranger, r).await.err(),
            control.attachments(&stranger, AttachmentFilter::Resource(r.clone())).await.err(),
        ];
        for (number, answer) in answers.into_iter().enumerate() {
            assert!(matches!(answer, Some(Problem::NotFound { .. })), "answer {number} for {r}: {answer:?}");
        }
    }
    assert_eq!(control.resources(&stranger, Page::default()).await.unwrap().items, []);
    assert_eq!(control.operations(&stranger, None, Page::default()).await.unwrap().items, []);
    assert_eq!(world.trail(&stranger).await, ["account.create other"]);
}

#[tokio::test]
async fn pages_go_from_new_to_old_without_gap_or_overlap() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    for number in 0..5 {
        world.accept(&caller, &format!("r{number}")).await;
    }
    let mut names = Vec::new();
    let mut page = Page { after: None, limit: 2 };
    loop {
        let part = world.control.resources(&caller, page).await.unwrap();
        names.extend(part.items.into_iter().map(|resource| resource.name));
        page.after = part.next;
        if page.after.is_none() {
            break;
        }
    }
    assert_eq!(names, ["r4", "r3", "r2", "r1", "r0"]);
}
