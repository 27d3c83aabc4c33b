//! The administrator's calls at the Backend: the tasks of all owners.

use domain::{AdminTask, AdminTaskList, OwnerId, PageRequest, TaskCountsResponse, TaskFilter, TaskId};
use reqwest::Method;

use crate::api::tasks::{ListPage, list_query};
use crate::client::Client;
use crate::error::ClientError;

/// The path of the tasks of all owners.
const TASKS: [&str; 3] = ["api", "Admin", "Task"];

impl Client {
    /// A page of those tasks of `owner`, or of all owners, that `filter` passes. It may have fewer tasks than requested, or none, and a
    /// next page. Needs the role Admin, as the other calls here do.
    pub async fn list_as_admin(
        &self,
        owner: Option<OwnerId>,
        filter: &TaskFilter,
        page: PageRequest,
    ) -> Result<ListPage<AdminTaskList>, ClientError> {
        let worker = filter.worker.as_ref().map(ToString::to_string);
        let whose = [("owner", owner.map(|owner| owner.to_string())), ("worker", worker)];
        let whose = whose.into_iter().filter_map(|(name, value)| Some((name, value?)));
        ListPage::read(
            &self.send(self.request_with_query(&TASKS, whose.chain(list_query(filter, page)))).await?,
        )
    }

    /// One task of any owner.
    pub async fn get_as_admin(&self, id: TaskId) -> Result<AdminTask, ClientError> {
        let [api, admin, task] = TASKS;
        self.send(self.request(Method::GET, &[api, admin, task, &id.to_string()])).await?.read()
    }

    /// Cancels a task of any owner and returns it in its final state.
    pub async fn cancel_as_admin(&self, id: TaskId) -> Result<AdminTask, ClientError> {
        let [api, admin, task] = TASKS;
        self.send(self.request(Method::POST, &[api, admin, task, &id.to_string(), "cancel"])).await?.read()
    }

    /// The numbers of the tasks of `owner`, or of all owners.
    pub async fn counts_as_admin(&self, owner: Option<OwnerId>) -> Result<TaskCountsResponse, ClientError> {
        let [api, admin, task] = TASKS;
        let owner = owner.map(|owner| ("owner", owner.to_string()));
        self.send(self.request_with_query(&[api, admin, task, "counts"], owner)).await?.read()
    }
}
