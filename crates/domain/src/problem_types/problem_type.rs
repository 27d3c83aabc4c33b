//! One row of the table of problem types, and how rows are written.

/// A type of problems: what an error of the API means, and what to do about it. There is no other constructor than the table.
#[derive(Debug, PartialEq, Eq)]
pub struct ProblemType {
    /// The name that never changes: `type` of a problem is `/errors/` and the slug.
    pub slug: &'static str,
    /// The HTTP status code.
    pub status: u16,
    /// The type in a few words.
    pub title: &'static str,
    /// When a request has this problem, in whole sentences.
    pub meaning: &'static str,
    /// What the caller can do, in whole sentences.
    pub remedy: &'static str,
    /// A `detail` that such a problem may have.
    pub(crate) detail: &'static str,
    /// Where in the body the fault of that example is, as a JSON Pointer (RFC 6901).
    pub(crate) pointer: Option<&'static str>,
}

/// The types that belong to a part of the API.
#[derive(Debug)]
pub struct Section {
    /// The part's name.
    pub heading: &'static str,
    /// The tags of the operations, in the OpenAPI documents, whose answers may have these types. Empty: those of every operation.
    pub tags: &'static [&'static str],
    /// The types.
    pub types: &'static [&'static ProblemType],
}

/// Rows of the table: `NAME = status, "slug", "title", "meaning", "remedy", "example of a detail" at "pointer";`. Without a title
/// it is that of a body whose faults the problem lists.
macro_rules! problem_types {
    ($heading:literal $tags:expr; $($name:ident = $status:literal, $slug:literal, $title:expr, $meaning:literal, $remedy:literal,
        $detail:literal $(at $pointer:literal)?;)+) => {
        $(
            #[doc = concat!("The type `", $slug, "`.")]
            pub static $name: crate::problem_types::problem_type::ProblemType = crate::problem_types::problem_type::ProblemType {
                slug: $slug,
                status: $status,
                title: $title,
                meaning: $meaning,
                remedy: $remedy,
                detail: $detail,
                pointer: problem_types!(@pointer $($pointer)?),
            };
        )+

        pub(super) static SECTION: crate::problem_types::problem_type::Section =
            crate::problem_types::problem_type::Section { heading: $heading, tags: $tags, types: &[$(&$name),+] };
    };
    (@pointer) => { None };
    (@pointer $pointer:literal) => { Some($pointer) };
}
pub(super) use problem_types;

/// The title of the types whose problems list the faults of a body.
pub(super) const INVALID_REQUEST: &str = "Invalid request";
