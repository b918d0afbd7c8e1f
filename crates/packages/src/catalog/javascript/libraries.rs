//! The JavaScript libraries for browsers that are known by name.

/// One known library.
pub(super) struct Library {
    /// Its name, that of npm where it is there.
    pub(super) name: &'static str,
    /// What its files are called, without version and ending, in lower case; several with blanks between them.
    pub(super) files: &'static str,
    /// How its comments begin, in lower case; several with bars between them.
    pub(super) titles: &'static str,
    /// What its code says; the first group is the version. Empty where a comment says it.
    pub(super) code: &'static str,
    /// Its name in the repository of retire.js, where that has no name of npm's for it; empty elsewhere.
    pub(super) retire: &'static str,
}

macro_rules! libraries {
    ($($name:literal, $files:literal, $titles:literal, $code:literal, $retire:literal;)*) => {
        &[$(Library { name: $name, files: $files, titles: $titles, code: $code, retire: $retire }),*]
    };
}

/// All known libraries.
pub(super) const LIBRARIES: &[Library] = libraries![
    "jquery", "jquery", "jquery", "", "";
    "jquery-migrate", "jquery-migrate", "jquery migrate", "", "jquery-migrate";
    "jquery-validation", "jquery.validate jquery.validation", "jquery validation plugin|jquery validation", "", "jquery-validation";
    "jquery-mobile", "jquery.mobile", "jquery mobile", "", "jquery-mobile";
    "jquery-ui", "jquery-ui jquery.ui", "jquery ui", "", "";
    "jquery.terminal", "jquery.terminal", "jquery.terminal", "", "jquery.terminal";
    "prettyphoto", "jquery.prettyphoto", "class: prettyphoto", "", "jquery.prettyPhoto";
    "jplayer", "jquery.jplayer", "jplayer plugin for jquery|jplayer", "", "";
    "datatables.net", "jquery.datatables datatables", "datatables", "", "";
    "blueimp-file-upload", "jquery.fileupload", "jquery file upload plugin", "", "blueimp-file-upload";
    "knockout", "knockout", "knockout", "", "knockout";
    "swfobject", "swfobject", "swfobject", "", "swfobject";
    "tinymce", "tinymce", "tinymce", r#"majorVersion:"(\d+)",minorVersion:"([\d.]+)""#, "";
    "yui", "yui yui-min", "yui", "", "";
    "prototype", "prototype", "prototype", "", "prototypejs";
    "ember-source", "ember ember.prod ember.debug", "ember", "", "ember";
    "dojo", "dojo", "dojo", "", "dojo";
    "angular", "angular angularjs", "angularjs", "", "";
    "@angular/core", "core.umd", "angular", "", "@angular/core";
    "backbone", "backbone backbonejs", "backbone.js", r#"[a-z]\.VERSION="(\d+\.\d+\.\d+)""#, "";
    "mustache", "mustache mustachejs", "mustache.js", r#"(?:version:|\.version ?= ?)["'](\d+\.\d+\.\d+)["']"#, "";
    "handlebars", "handlebars handlebars.runtime handlebarsjs", "handlebars", "", "handlebars";
    "easyxdm", "easyxdm", "easyxdm", "", "";
    "plupload", "plupload plupload.full", "plupload", "", "plupload";
    "dompurify", "dompurify purify", "dompurify", r#"cure53/DOMPurify/blob/(\d+\.\d+\.\d+)/|[a-z]\.version="(\d+\.\d+\.\d+)",[a-z]\.removed=\["#, "";
    "react", "react react.production react.development react-with-addons", "react", r#"(?:[a-z]\.version ?= ?["']|var ReactVersion = ["'])(\d+\.\d+\.\d+)["'-]"#, "react";
    "react-dom", "react-dom react-dom.production react-dom.development", "react dom", r#"(?:bundleType:0,version:|[a-z]\.version ?= ?|var ReactVersion = )["'](\d+\.\d+\.\d+)["'-]"#, "react-dom";
    "flowplayer", "flowplayer", "flowplayer", "", "flowplayer";
    "moment", "moment moment-with-locales", "moment.js", "", "";
    "underscore", "underscore", "underscore.js", r#"[a-z]\.VERSION ?= ?["'](\d+\.\d+\.\d+)["']"#, "";
    "bootstrap", "bootstrap bootstrap.bundle", "bootstrap.js|bootstrap", "", "bootstrap";
    "bootstrap-select", "bootstrap-select", "bootstrap-select", "", "bootstrap-select";
    "ckeditor", "ckeditor", "ckeditor", r#"timestamp:"[^"]*",version:"(\d+(?:\.\d+)+)"#, "ckeditor";
    "vue", "vue vue.runtime vue.global vue.global.prod", "vue.js|vue", "", "vue";
    "extjs", "ext-all ext-all-debug ext-base", "ext js library|ext js", "", "ExtJS";
    "svelte", "svelte", "svelte", "", "svelte";
    "axios", "axios", "axios", "", "axios";
    "markdown-it", "markdown-it", "markdown-it", "", "markdown-it";
    "jszip", "jszip", "jszip", "", "jszip";
    "alasql", "alasql", "alasql", "", "";
    "chart.js", "chart chart.bundle", "chart.js", "", "chart.js";
    "froala-editor", "froala_editor", "froala_editor", "", "";
    "highcharts", "highcharts", "highcharts", "", "highcharts";
    "select2", "select2 select2.full", "select2", "", "select2";
    "c3", "c3", "c3.js|c3", "", "c3";
    "lodash", "lodash lodash.core", "lodash", r#"(?:VERSION ?= ?|[a-z]\.VERSION=)["'](\d+\.\d+\.\d+)["']"#, "lodash";
    "ua-parser-js", "ua-parser", "uaparser.js", "", "ua-parser-js";
    "pdfjs-dist", "pdf pdf.worker", "pdf.js", r#"pdfjsVersion = ["'](\d+\.\d+\.\d+)["']|[a-z]\.version="(\d+\.\d+\.\d+)",[a-z]\.build="#, "";
    "three", "three three.module", "three.js", r#"REVISION ?= ?["'](\d+)["']"#, "";
    "highlight.js", "highlight highlight.pack", "highlight.js", "", "";
    "marked", "marked", "marked", "", "marked";
    "echarts", "echarts", "echarts", r#"[a-z]\.version="(\d+\.\d+\.\d+)",[a-z]\.dependencies="#, "echarts";
    "zrender", "zrender", "zrender", "", "zrender";
    "video.js", "video", "video.js", "", "video.js";
    "quill", "quill", "quill", "", "";
    "swiper", "swiper swiper-bundle", "swiper", "", "swiper";
    "mootools", "mootools mootools-core", "mootools", r#"MooTools ?= ?\{version:["'](\d+\.\d+\.\d+)["']"#, "";
    "protobufjs", "protobuf", "protobuf.js", "", "";
];

/// The name of a library in the repository of retire.js, where that has no name of npm's for it.
pub(crate) fn retire(name: &str) -> Option<&'static str> {
    LIBRARIES
        .iter()
        .find(|library| library.name == name)
        .map(|library| library.retire)
        .filter(|name| !name.is_empty())
}
