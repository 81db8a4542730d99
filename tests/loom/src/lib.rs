//! The gate's own source files, compiled with loom's lock and counter.

#![cfg(loom)]

/// What the gate needs of `tollgate::model`.
#[path = "../../../src/model"]
pub mod model {
    pub mod lane;
}

/// What is checked of `tollgate::admission`.
#[path = "../../../src/admission"]
pub mod admission {
    #[expect(unused_imports, reason = "the pacer uses it, which is not checked here")]
    pub mod gate;
}
