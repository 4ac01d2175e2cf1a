//! One layer: checked, what it takes away, what it brings.

use std::io::{self, BufReader, Read};

use aws_lc_rs::digest::Context;
use flate2::bufread::MultiGzDecoder;

use super::archive::Archive;
use super::blob::{Compression, Layer};
use super::tar::{Reader, Skip};
use super::{ImageError, Place};

/// What a name begins with that takes another away.
const WHITEOUT: &str = ".wh.";

/// The name that takes away all that lower layers have in its folder.
const OPAQUE: &str = ".wh..wh..opq";

/// Read at a time.
const BUFFER: usize = 256 * 1024;

/// What a layer takes away.
enum Whiteout {
    Of(String),
    AllIn(String),
}

/// Unpacks a layer. Answers how many devices were left out.
pub(super) fn unpack(
    archive: &mut Archive,
    layer: &Layer,
    place: &mut dyn Place,
) -> Result<usize, ImageError> {
    for whiteout in examine(archive, layer)? {
        let (path, done) = match &whiteout {
            Whiteout::Of(path) => (path, place.remove(path)),
            Whiteout::AllIn(path) => (path, place.clear(path)),
        };
        done.map_err(|error| ImageError::write(path, error))?;
    }
    let stream = stream(archive.blob(&layer.blob)?, layer.compression)?;
    let mut reader = Reader::new(Streamed(stream));
    let mut left_out = 0;
    while let Some(entry) = next(&mut reader, layer)? {
        if name_of(&entry.path).starts_with(WHITEOUT) || is_device_folder(&entry.path) {
            continue;
        }
        let put = place.put(&entry, &mut reader);
        let put = put.map_err(|error| ImageError::write(&entry.path, error))?;
        left_out += usize::from(!put);
    }
    Ok(left_out)
}

/// Reads a layer whole, and holds it against both of its digests.
fn examine(archive: &mut Archive, layer: &Layer) -> Result<Vec<Whiteout>, ImageError> {
    let blob = archive.blob(&layer.blob)?;
    if blob.limit() != layer.size {
        let (found, expected) = (blob.limit(), layer.size);
        let why = format!("{} has {found} bytes, not {expected}", layer.blob);
        return Err(ImageError::refused(why));
    }
    let (mut of_blob, mut of_content) = (layer.blob.context(), layer.content.context());
    let mut whiteouts = Vec::new();
    {
        let mut blob = Hashed(blob, &mut of_blob);
        {
            let content = stream(&mut blob, layer.compression)?;
            let content = Hashed(content, &mut of_content);
            let mut reader = Reader::new(Streamed(content));
            while let Some(entry) = next(&mut reader, layer)? {
                whiteouts.extend(whiteout(&entry.path, layer)?);
            }
            drain(&mut reader.from, layer)?;
        }
        drain(&mut blob, layer)?;
    }
    layer.blob.check(of_blob)?;
    layer.content.check(of_content)?;
    Ok(whiteouts)
}

fn next<R: Skip>(
    reader: &mut Reader<R>,
    layer: &Layer,
) -> Result<Option<super::Entry>, ImageError> {
    reader.next().map_err(|error| damaged(error, layer))
}

fn drain(stream: &mut dyn Read, layer: &Layer) -> Result<(), ImageError> {
    let drained = io::copy(stream, &mut io::sink());
    drained.map(|_| ()).map_err(|error| damaged(error, layer))
}

/// What is wrong with a stream that was not written by us is said of the image.
fn damaged(error: io::Error, layer: &Layer) -> ImageError {
    ImageError::refused(format!("in layer {}, {error}", layer.blob))
}

/// The content of a blob.
fn stream<'a>(
    blob: impl Read + 'a,
    compression: Compression,
) -> Result<Box<dyn Read + 'a>, ImageError> {
    let blob = BufReader::with_capacity(BUFFER, blob);
    Ok(match compression {
        Compression::None => Box::new(blob),
        Compression::Gzip => Box::new(MultiGzDecoder::new(blob)),
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(blob);
            Box::new(decoder.map_err(ImageError::Read)?)
        }
    })
}

/// The last part of a path.
fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A container's devices are made by LXC.
fn is_device_folder(path: &str) -> bool {
    path.starts_with("dev/")
}

/// What an entry takes away, if it is one that does.
fn whiteout(path: &str, layer: &Layer) -> Result<Option<Whiteout>, ImageError> {
    let name = name_of(path);
    let Some(target) = name.strip_prefix(WHITEOUT) else {
        return Ok(None);
    };
    let folder = path[..path.len() - name.len()].trim_end_matches('/');
    if name == OPAQUE {
        return Ok(Some(Whiteout::AllIn(folder.to_owned())));
    }
    if matches!(target, "" | "." | "..") {
        let blob = &layer.blob;
        let why = format!("in layer {blob}, '{path}' takes away what is not below it");
        return Err(ImageError::refused(why));
    }
    // Other names of this kind are for the file system that the format comes from.
    if target.starts_with(WHITEOUT) {
        return Ok(None);
    }
    Ok(Some(Whiteout::Of(match folder.is_empty() {
        true => target.to_owned(),
        false => format!("{folder}/{target}"),
    })))
}

struct Streamed<R>(R);

impl<R: Read> Read for Streamed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Skip for Streamed<R> {}

/// A stream that is hashed as it is read.
struct Hashed<'a, R>(R, &'a mut Context);

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.update(&buffer[..read]);
        Ok(read)
    }
}
