//! One page of HTML for a review. It needs no other file and no network, and says everything without
//! its script, too; that only filters.

mod glance;
mod html;
mod sections;
#[cfg(test)]
mod tests;

use crate::diag::Diagnostic;
use crate::policy::ir::Policy;
use crate::question::{Cell, Diff, Opener};
use crate::source::SourceMap;

/// All that a page tells.
#[derive(Debug)]
pub struct Review<'r> {
    /// The policy's file, and its host where it names one.
    pub title: &'r str,
    /// First digits of the bundle's version.
    pub version: &'r str,
    pub policy: &'r Policy,
    pub sources: &'r SourceMap,
    pub cells: &'r [Cell],
    /// The graph as SVG.
    pub picture: &'r str,
    pub exposed: &'r [Exposed],
    /// Of a policy without mistakes.
    pub warnings: &'r [Diagnostic],
    /// What a policy before is called, and what differs from it.
    pub change: Option<(&'r str, &'r Diff)>,
    /// What was taken for granted.
    pub assumptions: &'r [String],
}

/// An exposed port and who reaches it.
#[derive(Debug, Clone)]
pub struct Exposed {
    pub container: String,
    /// As in `80/tcp`.
    pub service: String,
    /// As in `8080` or `127.0.0.1:8080`; nothing where it is not published.
    pub published: Option<String>,
    /// `file:line`.
    pub place: String,
    pub openers: Vec<Opener>,
}

/// Writes the page.
pub fn html(review: &Review<'_>) -> String {
    let mut parts = vec![glance::glance(review)];
    parts.extend(
        review
            .change
            .map(|(name, diff)| sections::change(name, diff)),
    );
    parts.push(sections::matrix(review));
    parts.push(sections::picture(review));
    parts.push(sections::exposed(review));
    parts.push(sections::warnings(review));
    parts.push(sections::expectations(review));
    parts.push(sections::assumptions(review));
    html::page(review.title, &parts)
}
