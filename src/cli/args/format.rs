//! The forms that a command can write what it found in.

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// Workflow commands, which GitHub shows beside the lines
    Github,
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    #[default]
    Text,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Json,
    #[default]
    Text,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DriftFormat {
    Json,
    /// Metrics for the textfile collector of `node_exporter`
    Prometheus,
    #[default]
    Text,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    Json,
    /// A table for a review's comment
    Markdown,
    #[default]
    Text,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum PictureFormat {
    /// For Graphviz
    Dot,
    /// For a review's comment
    Mermaid,
    #[default]
    Svg,
}
