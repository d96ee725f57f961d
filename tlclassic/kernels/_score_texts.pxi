"""Texts ready to be read by a kernel; included by _score.pyx, whose declarations it uses."""

cdef class Texts:
    """Texts ready to be read: a list or tuple of str and bytes, a ``U`` or ``S`` array, or an Arrow column."""

    def __cinit__(self, source):
        self.source = source
        if isinstance(source, (list, tuple)):
            self.layout, self.n = OBJECTS, len(source)
        elif isinstance(source, np.ndarray):
            self.layout = CODE_POINTS if source.dtype.kind == "U" else BYTES
            self.n, self.stride, self.width = len(source), source.strides[0], source.dtype.itemsize
            self.base = <const char *><size_t>source.ctypes.data
        elif hasattr(source, "__arrow_c_stream__"):
            self.layout = ARROW
            self._read_stream(source.__arrow_c_stream__())
        else:
            self.layout = ARROW
            schema, array = source.__arrow_c_array__()
            self._read_array(schema, array)

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.n_chunks):
            if self.chunks[i].release != NULL:
                self.chunks[i].release(&self.chunks[i])
        free(self.chunks)
        free(self.begins)

    def __len__(self):
        return self.n

    cdef _read_stream(self, capsule):
        cdef ArrowArrayStream *stream = <ArrowArrayStream *>PyCapsule_GetPointer(capsule, "arrow_array_stream")
        cdef ArrowSchema schema
        cdef ArrowArray chunk
        if stream.get_schema(stream, &schema) != 0:
            raise InvalidParameterError(f"X cannot be read as an Arrow column: {_reason(stream)}.")
        try:
            self.arrow_layout = _layout_of(&schema)
        finally:
            if schema.release != NULL:
                schema.release(&schema)
        while True:
            memset(&chunk, 0, sizeof(chunk))
            if stream.get_next(stream, &chunk) != 0:
                raise InvalidParameterError(f"X cannot be read as an Arrow column: {_reason(stream)}.")
            if chunk.release == NULL:
                return
            self._add_chunk(&chunk)

    cdef _read_array(self, schema_capsule, array_capsule):
        cdef ArrowArray *array = <ArrowArray *>PyCapsule_GetPointer(array_capsule, "arrow_array")
        cdef ArrowArray chunk = array[0]
        self.arrow_layout = _layout_of(<ArrowSchema *>PyCapsule_GetPointer(schema_capsule, "arrow_schema"))
        array.release = NULL  # moved: it is now ours to release
        self._add_chunk(&chunk)

    cdef _add_chunk(self, ArrowArray *chunk):
        cdef Py_ssize_t room = self.n_chunks + 1
        cdef int64_t missing
        if room & (room - 1) == 0:
            self.chunks = <ArrowArray *>_grown(self.chunks, 2 * room * sizeof(ArrowArray))
            self.begins = <int64_t *>_grown(self.begins, 2 * room * sizeof(int64_t))
        self.chunks[self.n_chunks] = chunk[0]
        self.begins[self.n_chunks] = self.n
        self.n_chunks += 1
        missing = tlc_arrow_null(chunk)
        if missing >= 0:
            raise _not_a_text(self.n + missing, None)
        self.n += chunk.length

    def strings(self, Py_ssize_t start, Py_ssize_t stop):
        """Those texts as str; what is not UTF-8 becomes U+FFFD."""
        cdef tlc_text[PIECE] views
        cdef Py_ssize_t at, i
        found = []
        for at in range(start, stop, PIECE):
            held = self.fill(at, min(at + PIECE, stop), views)
            for i in range(min(PIECE, stop - at)):
                found.append(_string(&views[i]))
        return found

    cdef fill(self, Py_ssize_t start, Py_ssize_t stop, tlc_text *views):
        """The addresses of a piece of the texts; valid for as long as what is returned."""
        if self.layout == OBJECTS:
            return self._fill_objects(start, stop, views)
        cdef Py_ssize_t i
        for i in range(start, stop):
            if self.layout == CODE_POINTS:
                self._fill_code_points(i, &views[i - start])
            elif self.layout == BYTES:
                self._fill_bytes(i, &views[i - start])
            else:
                self._fill_arrow(i, &views[i - start])
        return self

    cdef _fill_objects(self, Py_ssize_t start, Py_ssize_t stop, tlc_text *views):
        # Another thread may change the list: what the slice holds stays.
        if isinstance(self.source, list):
            held = PyList_GetSlice(self.source, start, stop)
        else:
            held = list(PyTuple_GetSlice(self.source, start, stop))
        cdef Py_ssize_t i
        if PyList_GET_SIZE(held) != stop - start:
            raise RuntimeError("the list of texts changed its length while it was read")
        for i in range(stop - start):
            _view(<object>PyList_GET_ITEM(held, i), start + i, &views[i])
        return held

    cdef void _fill_code_points(self, Py_ssize_t i, tlc_text *view) noexcept:
        cdef const uint32_t *data = <const uint32_t *>(self.base + i * self.stride)
        cdef Py_ssize_t n = self.width // 4
        while n and data[n - 1] == 0:
            n -= 1
        view.data, view.n, view.kind = data, n, TLC_UCS4

    cdef void _fill_bytes(self, Py_ssize_t i, tlc_text *view) noexcept:
        cdef const char *data = self.base + i * self.stride
        cdef Py_ssize_t n = self.width
        while n and data[n - 1] == 0:
            n -= 1
        view.data, view.n, view.kind = data, n, TLC_UTF8

    cdef int _fill_arrow(self, Py_ssize_t i, tlc_text *view) except -1:
        cdef Py_ssize_t low = 0, high = self.n_chunks, middle
        cdef const uint8_t *data
        cdef int64_t n
        while high - low > 1:
            middle = (low + high) // 2
            if self.begins[middle] <= i:
                low = middle
            else:
                high = middle
        n = tlc_arrow_bytes(&self.chunks[low], self.arrow_layout, i - self.begins[low], &data)
        if n < 0:
            raise InvalidParameterError(f"X[{i}] has a negative length: the Arrow column is damaged.")
        view.data, view.n, view.kind = data, n, TLC_UTF8
        return 0


cdef void *_grown(void *memory, size_t size) except NULL:
    cdef void *grown = realloc(memory, size)
    if grown == NULL:
        raise MemoryError
    return grown


cdef int _layout_of(const ArrowSchema *schema) except -1:
    cdef int found = tlc_arrow_layout(schema)
    if found == TLC_ARROW_OTHER:
        got = "a dictionary (categories)" if schema.dictionary != NULL else f"format {schema.format.decode()!r}"
        raise InvalidParameterError(f"X must be an Arrow column of strings or binary; got {got}. Cast it to string.")
    return found


cdef _reason(ArrowArrayStream *stream):
    cdef const char *reason = stream.get_last_error(stream)
    return "no reason given" if reason == NULL else reason.decode("utf-8", "replace")


cdef inline int _view(item, Py_ssize_t position, tlc_text *view) except -1:
    if TLC_IS_STR(item):
        TLC_READY(item)
        view.data, view.n = PyUnicode_DATA(item), PyUnicode_GET_LENGTH(item)
        if PyUnicode_IS_ASCII(item):
            view.kind = TLC_ASCII
        else:
            view.kind = PyUnicode_KIND(item)  # 1, 2, 4: as TLC_UCS1, TLC_UCS2 and TLC_UCS4
    elif TLC_IS_BYTES(item):
        view.data, view.n, view.kind = PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item), TLC_UTF8
    else:
        raise _not_a_text(position, item)
    return 0


cdef _string(const tlc_text *view):
    if view.kind == TLC_UTF8:
        return PyUnicode_DecodeUTF8(<const char *>view.data, view.n, "replace")
    return PyUnicode_FromKindAndData(
        1 if view.kind in (TLC_ASCII, TLC_UCS1) else 2 if view.kind == TLC_UCS2 else 4, view.data, view.n
    )


def _not_a_text(position, item):
    return InvalidParameterError(
        f"X[{position}] must be a string; got {item!r:.80} of type {type(item).__name__}. "
        "Replace missing texts with an empty string or leave those rows out."
    )
