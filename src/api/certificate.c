/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate for a daemon that was given none: an ECDSA key (P-256) and its own signature, for
 * this host's name, localhost and the address. It says nothing about who made it; a browser asks
 * once, and then knows when it is another one.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <quoin/base_random.h>
#include <quoin/base_text.h>

#include "remote.h"

#define DAY_S (24 * 3600)
#define YEARS 10

static int names_set(gnutls_x509_crt_t certificate, const char *address)
{
	char host[64] = "localhost";
	uint8_t ip[sizeof(struct in6_addr)];
	int r;

	/* What does not fit into a name of a certificate is cut. */
	if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0')
		strncpy(host, "localhost", sizeof(host));
	r = gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, host,
					  (unsigned)strlen(host));
	if (r == 0)
		r = gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, host,
							 (unsigned)strlen(host), GNUTLS_FSAN_SET);
	if (r == 0)
		r = gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME,
							 "localhost", 9, GNUTLS_FSAN_APPEND);
	if (r == 0 && inet_pton(AF_INET, address, ip) == 1)
		r = gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS, ip, 4,
							 GNUTLS_FSAN_APPEND);
	else if (r == 0 && inet_pton(AF_INET6, address, ip) == 1)
		r = gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS, ip, 16,
							 GNUTLS_FSAN_APPEND);
	return r;
}

static int terms_set(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key)
{
	const time_t now = time(NULL);
	uint8_t serial[16];
	int r;

	random_system_fill(serial, sizeof(serial));
	serial[0] &= 0x7F; /* positive, RFC 5280, 4.1.2.2 */
	r = gnutls_x509_crt_set_version(certificate, 3);
	if (r == 0)
		r = gnutls_x509_crt_set_serial(certificate, serial, sizeof(serial));
	if (r == 0)
		r = gnutls_x509_crt_set_activation_time(certificate, now - DAY_S);
	if (r == 0)
		r = gnutls_x509_crt_set_expiration_time(certificate, now + YEARS * 365L * DAY_S);
	if (r == 0)
		r = gnutls_x509_crt_set_basic_constraints(certificate, 0, -1);
	if (r == 0)
		r = gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (r == 0)
		r = gnutls_x509_crt_set_key_purpose_oid(certificate, GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (r == 0)
		r = gnutls_x509_crt_set_key(certificate, key);
	return r;
}

static char *text_of(const gnutls_datum_t *datum)
{
	return xasprintf("%.*s", (int)datum->size, (const char *)datum->data);
}

static int pair_export(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key,
		       char **ret_certificate, char **ret_key)
{
	gnutls_datum_t public = {NULL, 0};
	gnutls_datum_t secret = {NULL, 0};
	int r = gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &public);

	if (r == 0)
		r = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL,
						      GNUTLS_PKCS_PLAIN, &secret);
	if (r == 0) {
		*ret_certificate = text_of(&public);
		*ret_key = text_of(&secret);
		explicit_bzero(secret.data, secret.size);
	}
	gnutls_free(public.data);
	gnutls_free(secret.data);
	return r;
}

int api_certificate_make(const char *address, char **ret_certificate, char **ret_key,
			 struct err *err)
{
	gnutls_x509_privkey_t key = NULL;
	gnutls_x509_crt_t certificate = NULL;
	int r = gnutls_x509_privkey_init(&key);

	if (r == 0)
		r = gnutls_x509_crt_init(&certificate);
	if (r == 0)
		r = gnutls_x509_privkey_generate(
			key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (r == 0)
		r = names_set(certificate, address);
	if (r == 0)
		r = terms_set(certificate, key);
	if (r == 0)
		r = gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0);
	if (r == 0)
		r = pair_export(certificate, key, ret_certificate, ret_key);
	if (certificate)
		gnutls_x509_crt_deinit(certificate);
	if (key)
		gnutls_x509_privkey_deinit(key);
	return r == 0 ? 0 : err_set(err, -EIO, "cannot make a certificate: %s", gnutls_strerror(r));
}
