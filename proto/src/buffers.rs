//! The codec of our calls: Protobuf as everywhere, with buffers of the size of our messages.
//!
//! tonic gives each stream 8 KiB to read into and 8 KiB to write into, for as long as it lives. What a site and the core
//! say to each other is short most of the time, and a core has thousands of such streams open.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec as TonicCodec};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// What a buffer begins with; it grows with a longer message. Bytes: an offer of one changed route with its report fits.
const BEGIN: usize = 512;

/// How much is encoded before it is handed on: tonic's own bound.
const YIELD: usize = 32 << 10;

/// The codec that generated clients and servers use.
#[derive(Debug, Clone)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> TonicCodec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::new(BEGIN, YIELD))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::new(BEGIN, YIELD))
    }
}
