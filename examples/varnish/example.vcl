# A VCL to copy: pictures that PURGE invalidates exactly and at once.
#
#   PURGE /a.jpg        all renditions of a picture
#   PURGE /folder/*     all pictures in a folder
#   PURGE /*            everything
#   Soft: 1             they are served once more while they are fetched again
vcl 4.1;

import cache_index;

acl purgers {
	"localhost";
}

sub vcl_init {
	new pictures = cache_index.tenant("shop");
}

sub vcl_recv {
	if (req.method == "PURGE") {
		if (client.ip !~ purgers) {
			return (synth(403));
		}
		if (req.url == "/*") {
			if (pictures.flush(soft = req.http.soft == "1")) {
				return (synth(200, cache_index.report()));
			}
		} elsif (pictures.purge(req.url, soft = req.http.soft == "1")) {
			return (synth(200, cache_index.report()));
		}
		return (synth(400, cache_index.report()));
	}
}

sub vcl_hit {
	# An invalidation was faster than the removal of the object.
	if (!cache_index.valid()) {
		set req.hash_always_miss = true;
		return (restart);
	}
}

sub vcl_backend_fetch {
	if (!pictures.begin()) {
		# A URL that names no picture. commit() returns false, too.
	}
}

sub vcl_backend_response {
	if (!pictures.commit()) {
		# An invalidation overtook the fetch: only those who wait for it get the answer.
		set beresp.uncacheable = true;
		set beresp.ttl = 0s;
		return (deliver);
	}
}

sub vcl_deliver {
	unset resp.http.CI-Name;
}
